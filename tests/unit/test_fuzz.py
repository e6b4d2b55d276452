"""Made-up inputs: every parser takes some, and what breaks one is found."""

import json
import time
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.fuzz import __main__ as fuzz
from tests.fuzz import one
from tests.fuzz.checks import Parser
from tests.fuzz.parsers import PARSERS

FEW = 5
"""Made-up inputs to each parser: `make fuzz` takes as many as there is time for."""


@pytest.fixture(autouse=True)
def _short_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one, "ROUND", 100)


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_what_is_made_up_or_refuses_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one, "ROUND", FEW)
    fuzzing = one.Fuzzing(PARSERS[name])
    assert fuzzing.round(1) is None
    assert fuzzing.inputs >= FEW


def breaks(given: int) -> None:
    if given > 40:
        raise KeyError(given)
    if given < 0:
        raise ValueError(given)


BREAKING = Parser(breaks, st.integers(), (ValueError,))


def test_what_breaks_a_parser_is_found_once_with_its_smallest_input() -> None:
    fuzzing = one.Fuzzing(BREAKING)
    found = fuzzing.round(1)
    assert found == {
        "error": "KeyError: 41",
        "at": "tests/unit/test_fuzz.py:breaks",
        "input": "41",
    }
    assert fuzzing.round(2) is None


def test_what_takes_too_long_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one, "SLOW_SECONDS", 0.0)
    found = one.Fuzzing(Parser(lambda _given: time.process_time(), st.just(0))).round(1)
    assert found is not None
    assert found["error"] == "Slow"


def test_a_wrong_strategy_is_no_finding_of_the_parser() -> None:
    def wrong(_given: Any) -> Any:
        raise RuntimeError("wrong strategy")

    with pytest.raises(RuntimeError):
        one.Fuzzing(Parser(print, st.integers().map(wrong))).round(1)


def test_the_outcome_is_what_the_process_wrote_last() -> None:
    lines = ['{"inputs": 5}', '{"error": "E: x", "at": "a", "input": "i"}', '{"inputs": 9}', ""]
    found = fuzz.outcome_of(lines)
    assert found.inputs == 9
    assert [one["error"] for one in found.findings] == ["E: x"]


def test_the_record_names_every_parser_and_every_finding_of_all_runs() -> None:
    finding = {"error": "KeyError: 1", "at": "a.py:f", "input": "'x'"}
    first = fuzz.kept_with(
        fuzz.NOTHING,
        fuzz.run_of(60, 7, ()),
        {"cursors": fuzz.Outcome(1_200, []), "HTML": fuzz.Outcome(3, [finding])},
    )
    kept = fuzz.kept_with(first, fuzz.run_of(5, 8, ["HTML"]), {"HTML": fuzz.Outcome(2_000, [])})
    written = fuzz.page(kept)
    assert "60 s, seed 7, every parser" in written
    assert "5 s, seed 8, HTML;" in written
    assert "| cursors | 1,200 | 0 |" in written
    assert "| HTML | 2,003 | 1 |" in written
    assert "| together | 3,203 | 1 |" in written
    assert "* HTML: KeyError: 1, a.py:f: `'x'`" in written


def test_the_record_that_is_kept_is_of_an_hour_at_least_and_of_every_parser() -> None:
    kept = json.loads(fuzz.KEPT.read_text(encoding="utf-8"))
    assert fuzz.PAGE.read_text(encoding="utf-8") == fuzz.page(kept)
    assert max(run["seconds"] for run in kept["runs"]) >= 3_600
    assert list(kept["outcomes"]) == list(PARSERS)
    assert all(outcome["inputs"] > 0 for outcome in kept["outcomes"].values())
