"""Repeated runs of the tests of faults: the table tells of every run, and one bad run fails all."""

import pytest

from local import chaos
from local.drills import Outcome

GOOD = Outcome(passed=True, cases=2, recovered=None)
BAD = Outcome(passed=False, cases=1, recovered=None)


def test_the_table_names_the_tests_that_failed_and_counts_the_runs_that_passed() -> None:
    runs = [
        chaos.Run(0, 71.6, {"test_a": GOOD, "test_b": GOOD}),
        chaos.Run(1, 80.2, {"test_a": GOOD, "test_b": BAD}),
    ]
    assert chaos.table(runs).splitlines()[2:] == [
        "| 1 | 4 | 72 | passed |",
        "| 2 | 3 | 80 | **failed**: test_b |",
        "",
        "1 of 2 runs passed",
    ]


@pytest.mark.parametrize(
    "bad",
    [chaos.Run(1, 1, {"test_a": BAD}), chaos.Run(4, 1, {}), chaos.Run(0, 1, {"test_a": BAD})],
    ids=["failed", "stack", "skipped"],
)
def test_one_run_that_did_not_pass_whole_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bad: chaos.Run
) -> None:
    good = chaos.Run(0, 1, {"test_a": GOOD})
    runs = iter([good, good, good, bad])
    monkeypatch.setattr(chaos, "run", lambda: next(runs))
    assert chaos.main(2) == 0
    assert chaos.main(2) == 1
    assert "1 of 2 runs passed" in capsys.readouterr().out
