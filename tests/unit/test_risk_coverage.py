"""The curve of what is decided wrongly by how much is decided."""

import numpy as np
import pytest
from quorum.vote.panel import Thresholds

from bench.embedded_panel import Scored
from bench.risk_coverage import Curve, reliability

THRESHOLDS = Thresholds(unsafe=0.9, safe=0.9)


def scored(**changes: object) -> Scored:
    facts: dict[str, object] = {
        "scores": np.array([0.95, 0.05, 0.8, 0.3, 0.97]),
        "unsafe": np.array([True, False, False, True, True]),
        "held": np.zeros(5, np.bool_),
        "mute": np.zeros(5, np.bool_),
        "outside": np.zeros(5, np.bool_),
        "worth": np.full(5, 0.2),
    }
    return Scored(**(facts | changes))  # type: ignore[arg-type] # arrays all


def test_the_surest_texts_are_decided_first_and_the_packaged_point_is_on_the_curve() -> None:
    curve = Curve.of(scored(), THRESHOLDS)
    assert curve.decided.tolist() == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curve.wrong.tolist() == pytest.approx([0, 0, 0, 0.2, 0.4])
    assert curve.packaged == pytest.approx((0.6, 0.0))
    assert curve.wrong_at(curve.packaged[0]) == curve.packaged[1]


def test_no_more_is_decided_than_may_be_wrong() -> None:
    curve = Curve.of(scored(), THRESHOLDS)
    assert curve.most_decided(0.05) == pytest.approx(0.6)
    assert curve.most_decided(0.25) == pytest.approx(0.8)
    assert curve.most_decided(1) == pytest.approx(1)
    assert Curve.of(scored(unsafe=np.zeros(5, np.bool_)), THRESHOLDS).most_decided(0.05) == 0


def test_what_is_mute_is_never_decided_and_what_is_held_is_never_safe() -> None:
    mute = np.array([True, False, False, False, False])
    held = np.array([False, True, False, False, False])
    curve = Curve.of(scored(mute=mute, held=held), THRESHOLDS)
    assert curve.decided[-1] == pytest.approx(0.8)
    assert curve.packaged == pytest.approx((0.2, 0.0))
    assert curve.wrong_at(0.9) is None
    assert curve.document(5)["points"][-1] == [0.8, 0.6]


def test_a_text_counts_by_its_worth() -> None:
    worth = np.array([4.0, 1.0, 3.0, 1.0, 1.0])
    curve = Curve.of(scored(worth=worth), THRESHOLDS)
    assert curve.packaged == pytest.approx((0.6, 0.0))
    assert curve.wrong_at(0.9) == pytest.approx(0.3)


def test_scores_that_are_near_each_other_are_measured_together() -> None:
    assert reliability(scored()) == [
        [0.05, 0.0, 0.2],
        [0.3, 1.0, 0.2],
        [0.8, 0.0, 0.2],
        [0.96, 1.0, 0.4],
    ]
