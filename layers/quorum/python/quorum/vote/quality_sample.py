"""The quality sample: verdicts that a panel decided alone, and that a person decides again. Pure.

Each verdict is drawn on its own, with a probability that is stored with it (Poisson sampling). The
draw is a hash of the verdict's id: whoever repeats it draws the same, and nobody can choose.

Estimates weigh each reviewed verdict by 1/probability: D. G. Horvitz and D. J. Thompson, "A
Generalization of Sampling Without Replacement From a Finite Universe", Journal of the American
Statistical Association 47 (1952), 663-685. The share of wrong verdicts is the weight of the wrong
ones divided by the weight of all (the ratio estimator of J. Hájek, 1971). Its interval is that of
E. B. Wilson (1927) for the effective number of verdicts (Σw)²/Σw² (L. Kish, "Survey Sampling",
1965).
"""

import math
from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from quorum.core.json_types import NUMBER
from quorum.core.models import CategoryName, Decision, Frozen, Verdict

Z = 1.959963984540054
"""The quantile of the normal distribution for an interval of 95 %."""
LOWEST_SHARE = 0.0001
"""A smaller share is refused: one verdict would stand for more than ten thousand."""


def _not_tiny(share: float) -> float:
    if 0 < share < LOWEST_SHARE:
        raise ValueError(f"must be 0, or at least {LOWEST_SHARE}")
    return share


SampleShare = Annotated[float, Field(ge=0.0, le=1.0), NUMBER, AfterValidator(_not_tiny)]
"""A share of verdicts; 0 draws none."""

_DIGITS = Decimal("0.000001")


class QualitySample(Frozen):
    """The share of what a panel decides alone that a person decides again.

    `categories` are shares of verdicts that flag a category; the highest of all that apply counts.
    """

    share: SampleShare = 0.0
    categories: dict[CategoryName, SampleShare] = Field(default_factory=dict, max_length=64)


class Sampled(Frozen):
    """The reviewed part of a sample with the same decision of the panel.

    `weight` is the sum of 1/probability, `squares` that of its squares.
    """

    count: int = 0
    weight: Decimal = Decimal(0)
    squares: Decimal = Decimal(0)

    def __add__(self, other: "Sampled") -> "Sampled":
        """Both parts together."""
        return Sampled(
            count=self.count + other.count,
            weight=self.weight + other.weight,
            squares=self.squares + other.squares,
        )


class Estimate(Frozen):
    """A share of all verdicts, estimated from a sample, with an interval of 95 %."""

    share: float
    low: float
    high: float
    sampled: int


def probability_of(verdict: Verdict, sample: QualitySample) -> float:
    """The probability with which the verdict is drawn; 0 unless a panel decided it by votes."""
    decided = verdict.decision is not Decision.NEEDS_REVIEW
    if not decided or verdict.answered_from not in {"panel", "cache"}:
        return 0.0
    flagged = [name for name, one in verdict.category_scores.items() if one.flagged]
    return max(sample.share, *(sample.categories.get(name, 0.0) for name in flagged), 0.0)


def is_drawn(verdict_id: str, probability: float) -> bool:
    """Whether the verdict is in the sample; the same for the same id."""
    draw = int.from_bytes(sha256(f"quality-sample#{verdict_id}".encode()).digest()[:8])
    return draw < probability * 2**64


def drawn_probability(verdict: Verdict, sample: QualitySample) -> float | None:
    """The probability with which the verdict was drawn; None if it was not."""
    probability = probability_of(verdict, sample)
    return probability if is_drawn(verdict.id, probability) else None


def sampled_with(probability: float) -> Sampled:
    """One verdict that was drawn with a probability."""
    weight = (1 / Decimal(repr(probability))).quantize(_DIGITS)
    return Sampled(count=1, weight=weight, squares=(weight * weight).quantize(_DIGITS))


def stored(decision: Decision, sampled: Sampled) -> dict[str, Any]:
    """The table's fields for that part of a sample; their values can be added to."""
    prefix = f"sampled_{decision}"
    return {
        f"{prefix}_count": sampled.count,
        f"{prefix}_weight": sampled.weight,
        f"{prefix}_squares": sampled.squares,
    }


def read(item: Mapping[str, Any], decision: Decision) -> Sampled:
    """The part of the sample that a table item holds for a decision of the panel."""
    prefix = f"sampled_{decision}"
    return Sampled(
        count=int(item.get(f"{prefix}_count", 0)),
        weight=Decimal(item.get(f"{prefix}_weight", 0)),
        squares=Decimal(item.get(f"{prefix}_squares", 0)),
    )


def estimated(wrong: Sampled, every: Sampled) -> Estimate | None:
    """The share of wrong verdicts among all, from the sampled ones; None without any."""
    if not every.count:
        return None
    share = float(wrong.weight / every.weight)
    effective = float(every.weight**2 / every.squares)
    low, high = wilson(share, effective)
    return Estimate(share=share, low=low, high=high, sampled=every.count)


def wilson(share: float, count: float) -> tuple[float, float]:
    """The interval of 95 % for a `share` of `count` (Wilson 1927)."""
    divisor = 1 + Z**2 / count
    centre = (share + Z**2 / (2 * count)) / divisor
    half = Z / divisor * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    return max(0.0, centre - half), min(1.0, centre + half)
