"""How the packaged panel `embedded` is calibrated: what counts, and what thresholds come to."""

import numpy as np
import pytest

from bench import embedded_panel
from bench.embedded_panel import Scored


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
