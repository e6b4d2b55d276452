"""From a raw score to a probability, and from a probability to a vote.

Platt scaling (Platt 1999, *Probabilistic outputs for support vector machines*), one pair of numbers
per language, fitted on scores of unseen rows.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from quorum.core.models import Attribute, CastVote, Decision

LEAST_DOUBT = 0.005
"""Least distance of a probability from 0 and 1: some labels are wrong."""


class Platt(NamedTuple):
    """P(unsafe) = 1 / (1 + exp(-(slope · score + offset)))."""

    slope: float
    offset: float

    def probability(self, score: float) -> float:
        """The probability of unsafe, kept `LEAST_DOUBT` away from certainty."""
        logit = max(-30.0, min(30.0, self.slope * score + self.offset))
        return min(1.0 - LEAST_DOUBT, max(LEAST_DOUBT, 1.0 / (1.0 + math.exp(-logit))))


def cast(
    voter: str,
    revision: str,
    probability: float,
    reasons: Mapping[Decision, str],
    attribute_scores: Mapping[Attribute, float],
) -> CastVote:
    """The vote of a voter that gives unsafe this probability; its model is `voter@revision`."""
    decision = Decision.UNSAFE if probability >= 0.5 else Decision.SAFE  # noqa: PLR2004 -- even odds
    confidence = round(max(probability, 1.0 - probability), 4)
    return CastVote(
        voter=voter,
        model=f"{voter}@{revision}",
        decision=decision,
        confidence=confidence,
        confidence_measured=confidence,
        attribute_scores=dict(attribute_scores),
        reason=reasons[decision],
    )


def toxicity(probability: float) -> dict[Attribute, float]:
    """The probability of unsafe as the attribute that stands for it."""
    return {Attribute.TOXICITY: round(probability, 4)}


WORDLESS_CONFIDENCE = 0.9
"""Confidence that a text without words is safe: a rule of the house, not a measurement."""


def wordless(voter: str, revision: str) -> CastVote:
    """The vote on a text that holds no words to judge: safe, unless a list says otherwise."""
    return CastVote(
        voter=voter,
        model=f"{voter}@{revision}",
        decision=Decision.SAFE,
        confidence=WORDLESS_CONFIDENCE,
        attribute_scores=toxicity(1.0 - WORDLESS_CONFIDENCE),
        reason="It holds no words, or only a greeting, thanks, laughter or the like.",
    )
