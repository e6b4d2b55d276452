"""The benchmark of the doors fails where an aim is missed."""

import json
import math
from typing import Any

import pytest

from bench import doors, page, results

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
def kept(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the benchmark would write, as it is read again."""
    found: list[Any] = []
    monkeypatch.setattr(
        results,
        "write",
        lambda _name, measured: found.append(json.loads(json.dumps(measured, allow_nan=False))),
    )
    return found


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, kept: list[Any]) -> Any:
    """Run the benchmark with medians in place of what it would measure; returns how it ends."""
    monkeypatch.setattr("sys.argv", ["bench.doors"])

    def end(medians: dict[str, float]) -> Any:
        monkeypatch.setattr(doors, "measure", lambda _rounds: medians)
        with pytest.raises(SystemExit) as ended:
            doors.main()
        assert len(kept) == 1
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


def test_the_page_shows_the_medians_and_what_is_quorums_own(run: Any, kept: list[Any]) -> None:
    run(MEDIANS)
    shown = "".join(page.doors(kept[0]))
    assert "| `POST /moderations`, over HTTP | 130 | 10 | 100 | 20 |" in shown
    assert "389 (3.0 × one)" in shown


def test_the_page_shows_that_a_list_never_came(run: Any, kept: list[Any]) -> None:
    run(MEDIANS | {"list, stack": math.inf})
    assert "a list of 32 (aim 3 × one) | – |" in "".join(page.doors(kept[0]))
