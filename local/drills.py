"""Drills: failures and attacks are made on purpose, and `docs/drills.md` reports what happened.

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


class Attack(NamedTuple):
    """What a hostile caller tries, what holds against it, and the tests that show it."""

    tried: str
    holds: str
    tests: tuple[str, ...]


_LISTED = json.loads((ROOT / "local/drills.json").read_text(encoding="utf-8"))
DRILLS = tuple(Drill(one["fails"], one["seen"], tuple(one["tests"])) for one in _LISTED["faults"])
ATTACKS = tuple(
    Attack(one["tried"], one["holds"], tuple(one["tests"])) for one in _LISTED["hostile"]
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
HOSTILE = """\

## Hostile

What attackers try, with the outcome of the tests of it. Made-up inputs for parsers are in
[fuzzing](fuzzing.md); `make audit` searches dependencies and code for known faults.

| tried | holds | outcome |
|---|---|---|
"""


class Outcome(NamedTuple):
    """The result of a test: whether all its cases passed, how many, and the measured recovery."""

    passed: bool
    cases: int
    recovered: float | None


def outcomes(report: str) -> dict[str, Outcome]:
    """The outcome of each test by file and name, in pytest's report in the form of JUnit."""
    found: dict[str, Outcome] = {}
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 as above # nosec B314
        name = f"{case.attrib['file']}::{case.attrib['name'].split('[')[0]}"
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
    faults = [
        f"| {drill.fails} | {drill.seen} | {_recovery(found, drill.tests)}"
        f" | {_held(found, drill.tests)} |\n"
        for drill in DRILLS
    ]
    attacks = [f"| {one.tried} | {one.holds} | {_held(found, one.tests)} |\n" for one in ATTACKS]
    machine = f"{platform.machine()}, Python {platform.python_version()}"
    head = HEAD.format(when=f"{now:%Y-%m-%d}", machine=machine)
    return "".join([head, *faults, HOSTILE, *attacks])


def every_test() -> list[str]:
    """The tests of all drills, each once."""
    each = [drill.tests for drill in DRILLS] + [attack.tests for attack in ATTACKS]
    return list(dict.fromkeys(test for tests in each for test in tests))


def _held(found: dict[str, Outcome], tests: tuple[str, ...]) -> str:
    """Whether all of these tests ran and passed, and how many cases they had."""
    each = [found.get(test) for test in tests]
    passed = all(one is not None and one.passed for one in each)
    cases = sum(one.cases for one in each if one is not None)
    return f"{'held' if passed else '**failed**'}, {cases} cases"


def _recovery(found: dict[str, Outcome], tests: tuple[str, ...]) -> str:
    """The longest recovery that one of these tests measured, in seconds."""
    each = [found[test].recovered for test in tests if test in found]
    times = [seconds for seconds in each if seconds is not None]
    return f"{max(times):.0f} s" if times else "–"


def main() -> int:
    """Run all drills and write the report; the exit code is pytest's."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", f"--junitxml={report}", *FORM, *every_test()],
            cwd=ROOT,
            check=False,
        )
        found = outcomes(report.read_text(encoding="utf-8"))
    REPORT.write_text(written(found, datetime.now(UTC)), encoding="utf-8")
    print(f"{REPORT.relative_to(ROOT)} is written")
    return ended.returncode


if __name__ == "__main__":
    sys.exit(main())
