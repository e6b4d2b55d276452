"""How severe a verdict's content may be, in four words: the order of the reviewers' queue. Pure.

A word is easier to agree on than a score, and within a word the oldest content comes first.
"""

from enum import StrEnum

from quorum.core.models import Category, Decision, Verdict

SUSPECTED_FROM = 0.5
"""Score of a category, given by any voter, from which it is suspected."""

_CRITICAL = frozenset(
    {
        Category.SEXUAL_MINORS,
        Category.SELF_HARM_INTENT,
        Category.SELF_HARM_INSTRUCTIONS,
        Category.HARASSMENT_THREATENING,
        Category.HATE_THREATENING,
        Category.ILLICIT_VIOLENT,
    }
)
"""Categories where somebody may be in danger."""


class Severity(StrEnum):
    """The severity of a content, the gravest first.

    `critical`: a category is suspected where somebody may be in danger. `high`: another category is
    flagged, or the panel says unsafe. `medium`: another one is suspected. `low`: none is.
    """

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


def suspected_in(verdict: Verdict) -> tuple[str, ...]:
    """The categories that are flagged, or that a voter gives half a chance; by name."""
    flagged = {name for name, one in verdict.category_scores.items() if one.flagged}
    likely = {name for name, score in verdict.categories.items() if score >= SUSPECTED_FROM}
    return tuple(sorted(flagged | likely))


def severity_of(verdict: Verdict) -> Severity:
    """The severity of the verdict's content, as far as its votes tell."""
    suspected = suspected_in(verdict)
    if not _CRITICAL.isdisjoint(suspected):
        return Severity.CRITICAL
    flagged = any(one.flagged for one in verdict.category_scores.values())
    if flagged or verdict.decision is Decision.UNSAFE:
        return Severity.HIGH
    return Severity.MEDIUM if suspected else Severity.LOW
