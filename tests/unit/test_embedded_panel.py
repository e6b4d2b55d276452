"""How the packaged panel `embedded` is calibrated: what counts, and what thresholds come to."""

import numpy as np
import pytest
from quorum.vote.panel import Thresholds

from bench import embedded_panel
from bench.embedded_panel import Choice, Scored


def scored(**changes: object) -> Scored:
    facts: dict[str, object] = {
        "scores": np.array([0.9, 0.1, 0.5, 0.05, 0.95, 0.1]),
        "unsafe": np.array([True, False, True, True, False, False]),
        "held": np.zeros(6, np.bool_),
        "mute": np.zeros(6, np.bool_),
        "outside": np.array([False, False, False, True, True, True]),
        "worth": np.array([1, 1, 1, 1, 1, 1]) / 3,
    }
    return Scored(**(facts | changes))  # type: ignore[arg-type] # arrays all


def test_shares_are_of_each_side_by_itself() -> None:
    choice = scored().choice(0.8, 0.8)
    assert choice.decided == pytest.approx(2 / 3)
    assert choice.right == pytest.approx(1)
    assert choice.outside_decided == pytest.approx(1)
    assert choice.outside_wrong == pytest.approx(2 / 3)


def test_what_is_held_is_never_safe_and_what_is_mute_never_decided() -> None:
    held = scored(held=np.ones(6, np.bool_)).choice(0.8, 0.8)
    assert held.decided == pytest.approx(1 / 3)
    mute = scored(mute=np.ones(6, np.bool_)).choice(0.8, 0.8)
    assert (mute.decided, mute.outside_decided) == (0, 0)


def test_the_frontier_decides_more_the_more_may_be_wrong() -> None:
    choices = [scored().choice(unsafe, 0.99) for unsafe in (0.8, 0.99)]
    assert embedded_panel.frontier(choices) == [choices[1]] * 7


def test_evidence_is_learned_from_half_as_many_outside_rows_in_languages_trained_for() -> None:
    source = np.array(["textdetox"] * 20 + ["gahd"] * 30 + ["toldbr"] * 30)
    languages = np.array(["de"] * 50 + ["pt"] * 30)
    rows = embedded_panel.learned_from(languages, source, seed=1)
    assert set(range(20)) <= set(rows.tolist())
    assert len(rows) == 30
    assert (source[rows] != "toldbr").all()


GENERAL = Thresholds(unsafe=0.7, safe=0.7)


def of_language(source: str, *, wrong_below: float, outside_unsafe: bool) -> Choice | None:
    """The thresholds of a language whose collection is wrong where it is less sure than that."""
    scores = np.concatenate([np.linspace(0.01, 0.99, 400)] * 2)
    sure = np.maximum(scores, 1 - scores)
    unsafe = (scores > 0.5) ^ (sure < wrong_below)
    outside = np.arange(800) >= 400
    unsafe[outside] = (scores[outside] > 0.5) & outside_unsafe
    rows = scored(
        scores=np.where(outside & ~unsafe, 0.05, scores),
        unsafe=unsafe,
        held=np.zeros(800, np.bool_),
        mute=np.zeros(800, np.bool_),
        outside=outside,
        worth=np.full(800, 1 / 400),
    )
    languages = np.array(["de"] * 800)
    sources = np.where(outside, source, "textdetox")
    return embedded_panel.by_language(rows, languages, sources, GENERAL, 0.05, {})["de"]


def test_a_language_is_decided_only_where_it_is_right() -> None:
    choice = of_language("gahd", wrong_below=0.85, outside_unsafe=True)
    assert choice is not None
    assert min(choice.unsafe, choice.safe) == pytest.approx(0.84, abs=0.02)
    assert choice.right >= embedded_panel.LEAST_RIGHT


def test_a_language_that_is_never_right_is_left_to_a_person() -> None:
    assert of_language("gahd", wrong_below=1.01, outside_unsafe=True) is None


def test_a_language_is_as_strict_as_others_where_no_unsafe_text_is_from_an_unseen_source() -> None:
    shown = of_language("gahd", wrong_below=0.0, outside_unsafe=True)
    assert shown is not None
    assert min(shown.unsafe, shown.safe) < GENERAL.unsafe
    not_shown = of_language("contrast_pud", wrong_below=0.0, outside_unsafe=False)
    assert not_shown is not None
    assert min(not_shown.unsafe, not_shown.safe) >= GENERAL.unsafe


def test_plain_texts_of_a_language_are_next_to_never_unsafe() -> None:
    rows = scored(
        scores=np.array([0.9] * 400 + [0.8] * 20 + [0.05] * 180),
        unsafe=np.array([True] * 400 + [False] * 200),
        held=np.zeros(600, np.bool_),
        mute=np.zeros(600, np.bool_),
        outside=np.arange(600) >= 400,
        worth=np.full(600, 1 / 300),
    )
    sources = np.array(["textdetox"] * 400 + ["contrast_pud"] * 200)
    languages = np.array(["hi"] * 600)
    choice = embedded_panel.by_language(rows, languages, sources, GENERAL, 0.2, {})["hi"]
    assert choice is not None
    assert choice.unsafe > 0.8
