"""A summary of a tenant's labels: how many there are of each kind, and how right each voter is.

A label stands for `weight` verdicts: 1 for each that the panel did not decide, 1/probability for
each that was drawn for the quality sample. A voter's agreement is the weight of the labels that it
agrees with, divided by that of all on which it voted: Horvitz and Thompson's weights in Hájek's
ratio, with Wilson's interval for the effective number of labels (Kish), all as in
`quorum.vote.quality_sample`. Labels of contents that people chose to review for another reason have
no probability, and count as they are.

A voter has drifted where its agreement in the last days is lower than before by more than chance
explains: the two-proportion z test (pooled, one-sided) at 0.5 %, with effective numbers. With ten
voters, one in twenty summaries reports a drift that is none.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta

from quorum.core.models import Decision, Frozen
from quorum.vote.quality_sample import Estimate, wilson
from quorum.vote.reviews import Label
from quorum.vote.tally import agreements

DRIFT_Z = 2.5758293035489004
"""The quantile of the normal distribution for 0.5 % on one side."""
LEAST_LABELS = 30
"""Effective number of labels in each of two periods below which nothing is said about a drift."""
RECENT_DAYS = 28
"""Days that are compared with what was before."""
UNKNOWN = "unknown"
"""In the place of a language that is not known."""


class VoterSummary(Frozen):
    """A voter's agreement with people: of all labels, and before and within the last days.

    `sampled` of an estimate is the number of labels on which it voted.
    """

    voter: str
    agreement: Estimate
    before: Estimate | None
    recent: Estimate | None
    drifted: bool


class LabelSummary(Frozen):
    """The labels by what they are about, and the voters, the least right one first.

    `represents` is the number of verdicts that they stand for. A category counts where a reviewer
    named it; where none was named, the flagged ones of the panel do.
    """

    labels: int
    with_text: int
    represents: float
    by_decision: dict[str, int]
    by_language: dict[str, int]
    by_category: dict[str, int]
    voters: tuple[VoterSummary, ...]


class _Weighed:
    """Agreements with their weights, and the weighted share."""

    def __init__(self) -> None:
        self.right = self.all = self.squares = 0.0
        self.count = 0

    def add(self, weight: float, *, agrees: bool) -> None:
        """Count one label."""
        self.right += weight * agrees
        self.all += weight
        self.squares += weight * weight
        self.count += 1

    @property
    def effective(self) -> float:
        """The number of equally weighted labels with the same information (Kish)."""
        return self.all * self.all / self.squares if self.squares else 0.0

    @property
    def share(self) -> float:
        """The weighed share of agreements."""
        return self.right / self.all

    def estimate(self) -> Estimate | None:
        """The share with its interval; None without labels."""
        if not self.all:
            return None
        low, high = wilson(self.share, self.effective)
        return Estimate(share=self.share, low=low, high=high, sampled=self.count)


def summary(labels: Sequence[Label], now: datetime, days: int = RECENT_DAYS) -> LabelSummary:
    """The summary of labels; those reviewed in the last `days` are compared with the others.

    Labels whose last review left them open count nowhere.
    """
    decided = [one for one in labels if one.reviews[-1].decision is not Decision.NEEDS_REVIEW]
    return LabelSummary(
        labels=len(decided),
        with_text=sum(one.content is not None for one in decided),
        represents=sum(one.weight for one in decided),
        by_decision=_counted(decided, lambda one: [str(one.reviews[-1].decision)]),
        by_language=_counted(decided, lambda one: [one.verdict.language or UNKNOWN]),
        by_category=_counted(decided, _categories),
        voters=_voters(decided, now - timedelta(days=days)),
    )


def _counted(labels: Iterable[Label], names: Callable[[Label], Iterable[str]]) -> dict[str, int]:
    """How many labels have each name, the most frequent first."""
    return dict(Counter(name for one in labels for name in names(one)).most_common())


def _categories(label: Label) -> Iterable[str]:
    named = label.reviews[-1].categories
    if named or label.reviews[-1].decision is Decision.SAFE:
        return named
    return [name for name, one in label.verdict.category_scores.items() if one.flagged]


def _voters(labels: Iterable[Label], recent_from: datetime) -> tuple[VoterSummary, ...]:
    periods: dict[str, tuple[_Weighed, _Weighed, _Weighed]] = {}
    for label in labels:
        review = label.reviews[-1]
        recent = review.reviewed_at >= recent_from
        for voter, agrees in agreements(review.decision, label.verdict.votes).items():
            every, before, after = periods.setdefault(voter, (_Weighed(), _Weighed(), _Weighed()))
            for one in (every, after if recent else before):
                one.add(label.weight, agrees=agrees)
    found = [
        VoterSummary(
            voter=voter,
            agreement=agreement,
            before=before.estimate(),
            recent=after.estimate(),
            drifted=_drifted(before, after),
        )
        for voter, (every, before, after) in periods.items()
        if (agreement := every.estimate()) is not None
    ]
    return tuple(sorted(found, key=lambda one: (one.agreement.share, one.voter)))


def _drifted(before: _Weighed, after: _Weighed) -> bool:
    """Whether the share after is lower than before by more than chance explains."""
    first, second = before.effective, after.effective
    if min(first, second) < LEAST_LABELS:
        return False
    pooled = (before.share * first + after.share * second) / (first + second)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / first + 1 / second))
    return deviation > 0 and (before.share - after.share) / deviation > DRIFT_Z
