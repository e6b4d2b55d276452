"""The benchmark of the doors fails where an aim is missed."""

import math
from contextlib import nullcontext
from typing import Any
from unittest.mock import Mock

import pytest

from bench import doors

MEDIANS = {
    "machine": 100.0,
    "bare, emulator": 5.0,
    "POST /verdicts, emulator": 5 + 100 + doors.OWN_MS,
    "POST /moderations, emulator": 120.0,
    "bare, stack": 10.0,
    "POST /verdicts, stack": 130.0,
    "POST /moderations, stack": 130.0,
    "list, stack": 130 * doors.LIST_RATIO - 1.0,
}
"""Milliseconds that just meet the aims."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the benchmark with medians in place of what it would measure; returns how it ends."""
    for name in ("start_stack", "stop_stack", "ApiContainer", "TimedMachine", "ways"):
        monkeypatch.setattr(doors, name, Mock())
    monkeypatch.setattr(doors, "emulated", lambda *_: nullcontext("http://127.0.0.1"))
    monkeypatch.setattr(doors, "environment", lambda _stack: {})
    monkeypatch.setattr("bench.doors.ApiSettings.from_environment", Mock())
    monkeypatch.setattr("sys.argv", ["bench.doors"])

    def end(medians: dict[str, float]) -> Any:
        monkeypatch.setattr(doors, "measured", lambda *_: medians)
        with pytest.raises(SystemExit) as ended:
            doors.main()
        return ended.value.code

    return end


def test_a_run_that_meets_its_aims_ends_well(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(MEDIANS) == 0
    assert "MISSED" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "over",
    [
        {"POST /verdicts, emulator": 106.0 + doors.OWN_MS},
        {"POST /moderations, stack": 111.0 + doors.OWN_MS},
        {"list, stack": 130.0 * doors.LIST_RATIO},
        {"list, stack": math.inf},
    ],
    ids=["a verdict", "a moderation", "a list", "a list that never came"],
)
def test_a_run_that_misses_one_ends_with_1_and_says_which(
    run: Any, capsys: pytest.CaptureFixture[str], over: dict[str, float]
) -> None:
    assert run(MEDIANS | over) == 1
    assert capsys.readouterr().out.count("MISSED") == 1
