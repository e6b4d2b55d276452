"""The report on drills: what it is made of exists, and a failure is in it."""

import re
from datetime import UTC, datetime

from local.drills import ATTACKS, DRILLS, Outcome, every_test, outcomes, written
from tests.template import ROOT

REPORT = """<testsuites><testsuite>
<testcase file="tests/x.py" name="test_a[one]">
<properties><property name="recovered_seconds" value="3.5"/></properties>
</testcase>
<testcase file="tests/x.py" name="test_a[two]"/>
<testcase file="tests/y.py" name="test_a"/>
<testcase file="tests/x.py" name="test_b"><failure message="no"/></testcase>
<testcase file="tests/x.py" name="test_c"><skipped message="not here"/></testcase>
</testsuite></testsuites>"""
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def test_every_drill_is_made_of_tests_that_there_are() -> None:
    assert all(drill.tests for drill in DRILLS)
    assert all(attack.tests for attack in ATTACKS)
    for test in every_test():
        file, name = test.split("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), test


def test_cases_of_a_test_are_taken_together_and_a_skipped_one_did_not_hold() -> None:
    assert outcomes(REPORT) == {
        "tests/x.py::test_a": Outcome(passed=True, cases=2, recovered=3.5),
        "tests/y.py::test_a": Outcome(passed=True, cases=1, recovered=None),
        "tests/x.py::test_b": Outcome(passed=False, cases=1, recovered=None),
        "tests/x.py::test_c": Outcome(passed=False, cases=1, recovered=None),
    }


def test_a_drill_of_which_a_test_failed_or_did_not_run_is_told_as_failed() -> None:
    held = Outcome(passed=True, cases=2, recovered=4.2)
    good = dict.fromkeys(every_test(), held)
    assert "failed" not in written(good, NOW)
    assert "| 4 s | held, 4 cases |" in written(good, NOW)
    missing = dict(list(good.items())[1:])
    assert written(missing, NOW).count("**failed**") == 1
    assert written(dict(list(good.items())[:-1]), NOW).count("**failed**") == 1


def test_the_published_report_tells_of_every_drill_and_none_failed() -> None:
    told = (ROOT / "docs/drills.md").read_text()
    assert "**failed**" not in told
    for drill in DRILLS:
        assert f"| {drill.fails} | {drill.seen} |" in told
    for attack in ATTACKS:
        assert f"| {attack.tried} | {attack.holds} |" in told
