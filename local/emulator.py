"""MiniStack, told not to wait for logs that a Lambda did not write.

Runs with the Python of MiniStack's environment, which has nothing else of Quorum's. After each
invocation MiniStack waits 50 ms for a first line of the function's log; Quorum's functions write
none when all is well. A request through an authorizer, the API and a machine met that wait five
times. Lines that come later than `FIRST_LINE_SECONDS` are in the log of the next invocation.
"""

from typing import Any

from ministack.app import main
from ministack.core.lambda_runtime import Worker

FIRST_LINE_SECONDS = 0.003

if __name__ == "__main__":
    drain: Any = vars(Worker)["_drain_stderr_bounded"]
    drain.__defaults__ = (FIRST_LINE_SECONDS, *drain.__defaults__[1:])
    main()
