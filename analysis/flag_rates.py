"""Thresholds of scores that keep a flag rate, and how far two kinds of scores agree."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_STEPS = 10_000
"""Thresholds have four digits."""

Scores = NDArray[np.float64]


class FlagRate(NamedTuple):
    """A threshold, and how many of `texts` have a score of at least that."""

    threshold: float
    flagged: int
    texts: int

    @property
    def share(self) -> float:
        """The flagged share of the texts."""
        return self.flagged / self.texts


class Agreement(NamedTuple):
    """How far flags by two scores agree.

    `both` and `either` count texts; `agreement` is the share of texts with the same flag; `overlap`
    is both of either, 1 where nothing is flagged; `rank_correlation` is Spearman's, None where
    one of the scores is always the same.
    """

    both: int
    either: int
    agreement: float
    overlap: float
    rank_correlation: float | None


def keeping(scores: Scores, rate: float) -> FlagRate:
    """The lowest threshold, to four digits, from which at most `rate` of the scores are flagged.

    Equal scores are flagged together or not at all, so that the share may be lower.
    """
    allowed = math.floor(rate * len(scores) + 1e-9)
    if allowed >= len(scores):
        return FlagRate(0.0, len(scores), len(scores))
    highest_not = float(np.sort(scores)[::-1][allowed])
    step = math.floor(highest_not * _STEPS) + 1
    if step / _STEPS <= highest_not:  # 0.0029 * 10_000 is a little less than 29
        step += 1
    threshold = step / _STEPS
    return FlagRate(threshold, int((scores >= threshold).sum()), len(scores))


def agreement(one: Scores, threshold: float, other: Scores, other_threshold: float) -> Agreement:
    """How far flags of two scores of the same texts agree, each from its own threshold on."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - 90 MiB that most commands do without

    flags, others = one >= threshold, other >= other_threshold
    both, either = int((flags & others).sum()), int((flags | others).sum())
    varied = np.ptp(one) > 0 and np.ptp(other) > 0
    return Agreement(
        both=both,
        either=either,
        agreement=float((flags == others).mean()),
        overlap=both / either if either else 1.0,
        rank_correlation=float(spearmanr(one, other).statistic) if varied else None,
    )
