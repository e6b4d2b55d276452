"""Claims of reviewers: who may decide a content that waits, and until when. Pure.

A claim is three fields of the verdict that stands in the queue: `claimed_by`, `claimed_until`
(epoch seconds), and `excluded`, the people who may not decide it because they skipped it, passed it
on, or decided what is appealed against. Every write that depends on a claim has one of these
conditions, so that of two people one is refused.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from quorum.core.errors import Conflict
from quorum.core.models import Frozen

CLAIM_SECONDS = 600
"""Seconds of a claim: it is extended while the reviewer has the content open."""

WAITS = "begins_with(#review, :pending)"
FREE = "(attribute_not_exists(claimed_until) OR claimed_until <= :now OR claimed_by = :person)"
NOT_SHORTER = "(attribute_not_exists(claimed_until) OR claimed_until <= :until)"
HELD = "claimed_by = :person AND claimed_until > :now"
ALLOWED = "(attribute_not_exists(excluded) OR NOT contains(excluded, :person))"


class Claim(Frozen):
    """A claim that holds: by whom, and until when."""

    reviewer: str
    until: datetime


def whole_seconds(now: float) -> int:
    """The time that conditions compare with."""
    return math.floor(now)


def claim_of(item: Mapping[str, Any], now: float) -> Claim | None:
    """The claim on a verdict's table item; None if there is none, or it has expired."""
    until = int(item.get("claimed_until", 0))
    if until <= whole_seconds(now):
        return None
    return Claim(reviewer=str(item["claimed_by"]), until=datetime.fromtimestamp(until, UTC))


def excluded_from(item: Mapping[str, Any]) -> frozenset[str]:
    """The people who may not decide the content of a verdict's table item."""
    return frozenset(str(one) for one in item.get("excluded", ()))


def require_allowed(item: Mapping[str, Any], person: str, now: float) -> None:
    """Raise `Conflict` if another person has claimed the content, or if this one may not decide."""
    claim = claim_of(item, now)
    if claim is not None and claim.reviewer != person:
        raise Conflict(
            "another reviewer has claimed this content; take the next one",
            code="claimed_by_another",
            field="reviewer",
        )
    if person in excluded_from(item):
        raise Conflict(
            "somebody else has to decide this content: this reviewer skipped it, passed it on, or"
            " made the decision that is appealed against",
            code="reviewer_excluded",
            field="reviewer",
        )
