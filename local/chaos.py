"""The tests of AWS's faults, several times in a row on one stack, which is kept meanwhile.

`python -m local.chaos 10` (`make chaos TIMES=10`) ends with a table of the runs. Some faults come
by chance: a test that passes once proves less than one that passes ten times.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from local.drills import FORM, Outcome, outcomes

ROOT = Path(__file__).parent.parent
TESTS = "tests/e2e/test_faults.py"
FOLDER = "QUORUM_E2E_FOLDER"
"""The variable with the folder of a stack that is kept between runs."""
KEPT = ROOT / ".local/chaos"
"""That folder, where the variable names none."""


class Run(NamedTuple):
    """One run: pytest's exit code, the seconds with the stack's start, each test's outcome."""

    code: int
    seconds: float
    tests: dict[str, Outcome]

    @property
    def failed(self) -> list[str]:
        """The tests that failed or were skipped."""
        return [name for name, one in self.tests.items() if not one.passed]

    @property
    def passed(self) -> bool:
        """Whether there were tests, and all passed."""
        return self.code == 0 and bool(self.tests) and not self.failed


def run() -> Run:
    """Run the tests once, in a process of their own."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *FORM, TESTS],
            cwd=ROOT,
            env={FOLDER: str(KEPT)} | os.environ,
            check=False,
        )
        found = outcomes(report.read_text(encoding="utf-8")) if report.exists() else {}
    return Run(ended.returncode, time.monotonic() - begun, found)


def table(runs: Sequence[Run]) -> str:
    """The runs as a table, and how many passed."""
    rows = ["| run | cases | seconds | outcome |", "|---:|---:|---:|---|"]
    for number, one in enumerate(runs, start=1):
        cases = sum(test.cases for test in one.tests.values())
        told = ", ".join(one.failed) or f"no test failed, pytest exited with {one.code}"
        outcome = "passed" if one.passed else f"**failed**: {told}"
        rows.append(f"| {number} | {cases} | {one.seconds:.0f} | {outcome} |")
    passed = sum(one.passed for one in runs)
    return "\n".join([*rows, "", f"{passed} of {len(runs)} runs passed"])


def main(times: int) -> int:
    """Run the tests so many times and print the table; 1 if one failed."""
    runs = []
    for number in range(1, times + 1):
        print(f"run {number} of {times}", flush=True)
        runs.append(run())
    print(f"\n{table(runs)}")
    return 0 if runs and all(one.passed for one in runs) else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
