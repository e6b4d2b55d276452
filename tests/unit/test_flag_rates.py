"""Thresholds that keep a flag rate, and agreement of flags."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.flag_rates import agreement, keeping

FOUR_DIGITS = st.integers(0, 10_000).map(lambda step: step / 10_000)
SCORES = st.lists(st.floats(0, 1) | FOUR_DIGITS, min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize(
    ("scores", "rate", "threshold", "flagged"),
    [
        ([0.1, 0.2, 0.3, 0.4], 0.25, 0.3001, 1),
        ([0.1, 0.2, 0.3, 0.4], 0.5, 0.2001, 2),
        ([0.1, 0.9, 0.9, 0.9], 0.5, 0.9001, 0),  # equal scores are flagged together
        ([0.1, 0.2], 0.0, 0.2001, 0),
        ([0.1, 0.2], 1.0, 0.0, 2),
        ([0.0029, 0.5], 0.5, 0.003, 1),
        ([0.5] * 19 + [0.7], 0.05, 0.5001, 1),
    ],
)
def test_the_threshold_flags_at_most_the_share(
    scores: list[float], rate: float, threshold: float, flagged: int
) -> None:
    found = keeping(np.array(scores), rate)
    assert (found.threshold, found.flagged) == (threshold, flagged)
    assert found.share == flagged / len(scores)


@given(SCORES, st.floats(0, 1))
def test_no_lower_threshold_of_four_digits_would_keep_the_rate(scores: object, rate: float) -> None:
    array = np.asarray(scores)
    found = keeping(array, rate)
    assert found.flagged == (array >= found.threshold).sum() <= rate * len(array) + 1e-6
    if found.threshold:
        assert (array >= round(found.threshold - 0.0001, 4)).sum() > rate * len(array)


def test_agreement_counts_equal_flags_and_compares_ranks() -> None:
    ours, theirs = np.array([0.1, 0.6, 0.7, 0.9]), np.array([0.2, 0.3, 0.8, 0.95])
    found = agreement(ours, 0.5, theirs, 0.8)
    assert (found.both, found.either) == (2, 3)
    assert found.agreement == 0.75
    assert found.overlap == pytest.approx(2 / 3)
    assert found.rank_correlation == pytest.approx(1.0)


def test_scores_that_never_vary_have_no_rank_correlation_and_no_flags_agree() -> None:
    found = agreement(np.zeros(3), 0.5, np.zeros(3), 0.8)
    assert found == (0, 0, 1.0, 1.0, None)
