"""MiniStack, with as many Lambda processes as the machine bears, which share their layers.

MiniStack unpacks a function's layers, 209 MB in thousands of files, anew for each of its processes,
in the process that is also DynamoDB and Step Functions. Where many requests come at once, many
processes begin, and meanwhile nothing is answered: a list of 32 texts got 8 verdicts of its voters
in 26 s. A published layer never changes, so here each is unpacked once.

AWS has a processor for every invocation at once; here a new process takes a second of the few there
are from the others. So an invocation of a function that ends soon waits for one of its processes,
once there are `PROCESSES`. Such a function waits for no other function, or all would wait.

After each invocation MiniStack waits 50 ms for a first line of the function's log; Quorum's
functions write none when all is well. Here it waits `FIRST_LINE_SECONDS`, and lines that come later
are in the log of the next invocation.

Of a batch of a table's stream a function may publish a part and say where to begin again; MiniStack
passes over what the function says, and so over the rest. Here the whole batch is given to it again.

MiniStack keeps how far a stream was read, and not the stream: started again on the same data, it
passed over as many changes as there were before. Here the new stream is read from its beginning.

What a function may run at once is asked of the function: MiniStack asks the version, which knows
only what was reserved when it was published.

A message of a WebSocket goes to the process that the alias led to when it was first called, with
the environment of then; here it goes to that of the alias's version.

Run by MiniStack's own Python (`.ministack`), in which there is nothing of this project's.
"""

import os
import tempfile
import threading
import time
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from ministack.app import main
from ministack.core import lambda_runtime
from ministack.services import lambda_svc

PROCESSES = 2 * (os.cpu_count() or 1)
"""Processes of one function at most, if it ends soon."""
SOON_SECONDS = 11
"""Longest timeout of a function that ends soon: the voters', the aggregate's, the authorizer's."""
WAITING_SECONDS = 10.0
"""Seconds that an invocation waits for a process; then it is throttled, as AWS does at a limit."""
PAUSE_SECONDS = 0.01
FIRST_LINE_SECONDS = 0.003

_acquire = lambda_svc.acquire_worker
_get_or_create = lambda_runtime.get_or_create_worker
_reserved = lambda_svc._reserved_concurrency
_execute = lambda_svc._execute_function
_unpacked: dict[str, str] = {}
"""Folder by the digest of a layer's archive."""
_unpacking = threading.Lock()


def unpacked(archive: bytes) -> str:
    """The folder with a layer's files, which are written at its first use."""
    digest = sha256(archive).hexdigest()
    with _unpacking:
        if digest not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix="layer-"))
            packed = folder / "layer.zip"
            packed.write_bytes(archive)
            with zipfile.ZipFile(packed) as layer:
                layer.extractall(folder / "layer")
            packed.unlink()
            _unpacked[digest] = str(folder / "layer")
        return _unpacked[digest]


class Worker(lambda_runtime.Worker):  # type: ignore[misc] # MiniStack has no types
    """A Lambda's process, with the shared folders of its layers in place of its own."""

    config: dict[str, Any]

    def _spawn(self) -> None:
        own = self.config
        layers = own.get("Layers", [])
        archives = [lambda_svc._resolve_layer_zip(layer) for layer in layers]
        folders = os.pathsep.join(unpacked(archive) for archive in archives if archive)
        variables = own.get("Environment", {}).get("Variables", {})
        # Where a function has no layers, MiniStack leaves this variable as it is.
        shared = {"Variables": variables | {"_LAMBDA_LAYERS_DIRS": folders}}
        self.config = own | {"Layers": [], "Environment": shared}
        try:
            super()._spawn()
        finally:
            self.config = own


def acquire_worker(name: str, config: dict[str, Any], code: bytes, **which: Any) -> Any:
    """A process of the function called `name` and how it was had, as MiniStack's own does."""
    most = PROCESSES if int(config.get("Timeout", 3)) <= SOON_SECONDS else None
    until = time.monotonic() + WAITING_SECONDS
    while True:
        worker, how = _acquire(name, config, code, **which, max_concurrency=most)
        if worker is not None or time.monotonic() > until:
            return worker, how
        time.sleep(PAUSE_SECONDS)


def worker_of_version(
    name: str, config: dict[str, Any], code: bytes, qualifier: str = "$LATEST"
) -> Any:
    """The process of the version that an alias leads to now, for a message of a WebSocket."""
    return _get_or_create(name, config, code, qualifier=str(config.get("Version", qualifier)))


def reserved_concurrency(called: dict[str, Any], config: dict[str, Any]) -> int | None:
    """What is reserved for a function, whichever of its versions is called."""
    function = lambda_svc._functions.get(config.get("FunctionName"))
    found: int | None = _reserved(function or called, config)
    return found


def execute_function(function: dict[str, Any], event: Any, *more: Any, **named: Any) -> Any:
    """An invocation; one that did not take the whole of a batch of a stream has failed."""
    result = _execute(function, event, *more, **named)
    records = event.get("Records") if isinstance(event, dict) else None
    body = result.get("body")
    if records and "dynamodb" in records[0] and isinstance(body, dict):
        result["error"] = result.get("error") or bool(body.get("batchItemFailures"))
    return result


def forget_positions(_store: Any, _positions: Any) -> None:
    """What MiniStack does on its start with how far streams were read: nothing."""


if __name__ == "__main__":
    drain: Any = vars(lambda_runtime.Worker)["_drain_stderr_bounded"]
    drain.__defaults__ = (FIRST_LINE_SECONDS, *drain.__defaults__[1:])
    lambda_runtime.Worker = Worker
    lambda_svc.acquire_worker = acquire_worker
    lambda_runtime.get_or_create_worker = worker_of_version
    lambda_svc._reserved_concurrency = reserved_concurrency
    lambda_svc._execute_function = execute_function
    lambda_svc._restore_esm_positions = forget_positions
    main()
