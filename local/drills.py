"""Drills: failures are caused on purpose, and `docs/drills.md` reports what happened.

Each drill is made of tests that run on every commit; here they are run together and reported.
`python -m local.drills` (`make drill`) runs them all; the report says which failed.
"""

import json
import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
REPORT = ROOT / "docs/drills.md"
FORM = ("-o", "junit_family=xunit1")
"""The form of the report in which a test may tell what it measured."""
RECOVERED = "recovered_seconds"
"""The property of a test that measured how long after the fault's end all was well."""


class Drill(NamedTuple):
    """What fails, what callers see of it, and the tests that show it and check the ledger."""

    fails: str
    seen: str
    tests: tuple[str, ...]


DRILLS = tuple(
    Drill(one["fails"], one["seen"], tuple(one["tests"]))
    for one in json.loads((ROOT / "local/drills.json").read_text(encoding="utf-8"))
)
HEAD = """\
# Drills

Written by `make drill`. Each line names what fails on purpose, what callers notice, the seconds
from the end of the failure until everything worked again (where a test measures that, on the local
stack, whose pauses are shorter than AWS's), and whether the drill held. Where anything is bought,
the tests behind a line also compare the ledger with what the stand-in for the gateway charged, to
the last digit, and look for lost items; [drills.json](../local/drills.json) names the tests.

{when}, {machine}.

| fails | callers see | recovery | outcome |
|---|---|---|---|
"""


class Outcome(NamedTuple):
    """The result of a test: whether all its cases passed, how many, and the measured recovery."""

    passed: bool
    cases: int
    recovered: float | None


def outcomes(report: str) -> dict[str, Outcome]:
    """The outcome of each test by its name, in pytest's report in the form of JUnit."""
    found: dict[str, Outcome] = {}
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 as above # nosec B314
        name = case.attrib["name"].split("[")[0]
        bad = any(child.tag in {"failure", "error", "skipped"} for child in case)
        measured = [
            float(one.attrib["value"])
            for one in case.iter("property")
            if one.attrib["name"] == RECOVERED
        ]
        before = found.get(name, Outcome(passed=True, cases=0, recovered=None))
        times = measured if before.recovered is None else [*measured, before.recovered]
        longest = max(times, default=None)
        found[name] = Outcome(before.passed and not bad, before.cases + 1, longest)
    return found


def written(found: dict[str, Outcome], now: datetime) -> str:
    """The report as Markdown."""
    rows = []
    for drill in DRILLS:
        of_drill = [found.get(test.split("::")[1]) for test in drill.tests]
        passed = all(one is not None and one.passed for one in of_drill)
        cases = sum(one.cases for one in of_drill if one is not None)
        times = [one.recovered for one in of_drill if one is not None and one.recovered is not None]
        recovery = f"{max(times):.0f} s" if times else "–"
        shown = f"{'held' if passed else '**failed**'}, {cases} cases"
        rows.append(f"| {drill.fails} | {drill.seen} | {recovery} | {shown} |")
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    return HEAD.format(when=f"{now:%Y-%m-%d}", machine=machine) + "\n".join(rows) + "\n"


def main() -> int:
    """Run all drills and write the report; the exit code is pytest's."""
    tests = list(dict.fromkeys(test for drill in DRILLS for test in drill.tests))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", f"--junitxml={report}", *FORM, *tests],
            cwd=ROOT,
            check=False,
        )
        found = outcomes(report.read_text(encoding="utf-8"))
    REPORT.write_text(written(found, datetime.now(UTC)), encoding="utf-8")
    print(f"{REPORT.relative_to(ROOT)} is written")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
