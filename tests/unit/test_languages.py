"""How much of each language is decided: from votes to shares, and to the terminal."""

import re
from datetime import date
from typing import Any

import numpy as np
import pytest
from quorum.vote import coverage
from typer.testing import CliRunner

from analysis.recorded import REVIEW, SAFE, UNSAFE, Recorded
from bench import languages
from cli import languages as command
from cli.app import app


def recorded(language: str, gold: list[int]) -> Recorded:
    rows = len(gold)
    return Recorded(
        languages=np.array([language] * rows),
        texts=("a text",) * rows,
        gold=np.array(gold, np.int8),
        voters=(),
        decisions=np.zeros((rows, 0), np.int8),
        confidences=np.zeros((rows, 0)),
    )


def found(language: str, source: str, decisions: list[int]) -> coverage.LanguageCoverage:
    rows = recorded(language, [SAFE] * 50 + [UNSAFE] * 50)
    sources = np.array([source] * 100)
    measured = languages.measured(rows, sources, np.array(decisions, np.int8), date(2026, 1, 1))
    return next(one for one in measured.languages if one.language == language)


def test_shares_are_of_all_of_the_decided_of_the_unsafe_and_of_the_safe() -> None:
    decisions = [SAFE] * 40 + [UNSAFE] * 10 + [REVIEW] * 25 + [UNSAFE] * 20 + [SAFE] * 5
    assert found("en", "textdetox", decisions).trained_for == coverage.Decided(
        texts=100, decided=0.75, right=0.8, unsafe_passed_as_safe=0.1, safe_called_unsafe=0.2
    )


def test_an_outside_source_is_no_text_the_voters_are_trained_for() -> None:
    one = found("de", "gahd", [SAFE] * 100)
    assert one.trained_for is None
    assert one.unseen_source is not None


@pytest.mark.parametrize(("decided", "who"), [(9, "person"), (10, "panel")])
def test_a_person_decides_where_the_panel_decides_next_to_nothing(decided: int, who: str) -> None:
    decisions = [UNSAFE] * decided + [REVIEW] * (100 - decided)
    assert found("hi", "textdetox", decisions).decided_by == who


@pytest.mark.parametrize(("wrong", "who"), [(6, "panel"), (7, "person")])
def test_a_person_decides_where_too_much_of_an_unseen_source_is_wrong(wrong: int, who: str) -> None:
    decisions = [UNSAFE] * wrong + [SAFE] * (50 - wrong) + [UNSAFE] * 50
    assert found("tr", "offenseval_tr", decisions).decided_by == who


def test_a_person_decides_a_language_in_which_no_unsafe_text_was_seen() -> None:
    rows = recorded("nl", [SAFE] * 100)
    decisions = np.full(100, SAFE, np.int8)
    sources = np.array(["contrast_ud"] * 100)
    measured = languages.measured(rows, sources, decisions, date(2026, 1, 1))
    dutch = next(one for one in measured.languages if one.language == "nl")
    assert dutch.decided_by == "person"
    assert "nl" in languages.reviewed(measured)


def test_a_language_that_was_trained_for_is_decided_with_its_figures_beside_it() -> None:
    decisions = [UNSAFE] * 20 + [SAFE] * 30 + [UNSAFE] * 50
    assert found("zh", "textdetox", decisions).decided_by == "panel"


def test_too_few_texts_say_nothing_and_a_person_decides() -> None:
    rows = recorded("en", [SAFE] * (languages.LEAST_SHOWN - 1))
    decisions = np.full(len(rows), SAFE, np.int8)
    measured = languages.measured(
        rows, np.array(["textdetox"] * len(rows)), decisions, date(2026, 1, 1)
    )
    for one in measured.languages:
        assert (one.trained_for, one.decided_by) == (None, "person")


def test_the_command_lists_who_decides_each_language(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service:
        def get(self, path: str) -> Any:
            assert path == "languages"
            return coverage.packaged().model_dump(mode="json")

    monkeypatch.setattr(command, "connect", lambda _: Service())
    printed = CliRunner().invoke(app, ["languages"]).output
    assert re.search(r"^ *en +the panel", printed, re.MULTILINE)
    assert re.search(r"^ *ro +a person", printed, re.MULTILINE)
