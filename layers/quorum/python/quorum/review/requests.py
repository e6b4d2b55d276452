"""The bodies of requests about reviews. Pure."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from quorum.core.json_types import WHOLE_NUMBER
from quorum.core.models import (
    CategoryName,
    Decision,
    Frozen,
    Identifier,
    Note,
    Review,
    ReviewCategories,
)
from quorum.vote.severity import Severity

CLAIMS_AT_ONCE = 10
"""Contents that are claimed by one request."""
DECISIONS_AT_ONCE = 25
"""Contents that are decided by one request: each is a transaction of its own."""

Order = Literal["oldest", "severest"]
Origin = Literal["undecided", "escalated", "appeal"]
"""Why a content waits: no panel decided it, a reviewer passed it on, or its author appeals."""
SkipReason = Literal["language", "too_disturbing", "needs_context", "conflict_of_interest", "other"]
Named = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class QueueFilter(Frozen):
    """What listed contents have in common; None does not matter.

    `category` is one that the panel flags, `policy` a name, `batch` the id of a batch. `reviewer`
    leaves out what that person may not take now: what others have claimed, and what the person
    skipped, passed on or decided before an appeal.
    """

    severity: Severity | None = None
    category: CategoryName | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None
    policy: Named | None = None
    panel: Named | None = None
    batch: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    origin: Origin | None = None
    reviewer: Identifier | None = None


class ReviewerRequest(Frozen):
    """The body of requests that say only who asks."""

    reviewer: Identifier


class ClaimRequest(ReviewerRequest):
    """The body of `POST /reviews/claim`: up to `count` of what waits and matches the filter."""

    count: Annotated[int, Field(ge=1, le=CLAIMS_AT_ONCE), WHOLE_NUMBER] = 1
    order: Order = "severest"
    severity: Severity | None = None
    category: CategoryName | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None
    policy: Named | None = None
    panel: Named | None = None
    batch: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    origin: Origin | None = None

    def wanted(self) -> QueueFilter:
        """The filter, for everybody: who may take what is seen from each content."""
        fields = set(QueueFilter.model_fields) - {"reviewer"}
        return QueueFilter(**{name: getattr(self, name) for name in fields})


class SkipRequest(ReviewerRequest):
    """The body of `POST /reviews/{verdict_id}/skip`. No reason counts against anybody."""

    reason: SkipReason = "other"


class EscalateRequest(ReviewerRequest):
    """The body of `POST /reviews/{verdict_id}/escalate`; the next reviewer sees the note."""

    note: Note = ""


class ContentDecision(Frozen):
    """A reviewer's decision on one content that the reviewer has claimed."""

    verdict_id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    decision: Literal[Decision.SAFE, Decision.UNSAFE]
    categories: ReviewCategories = ()
    note: Note = ""

    def to_review(self, reviewer: str, now: datetime) -> Review:
        """The review, made `now` (UTC)."""
        return Review(
            decision=self.decision,
            reviewer=reviewer,
            categories=self.categories,
            note=self.note,
            reviewed_at=now,
        )


class DecideRequest(ReviewerRequest):
    """The body of `POST /reviews/decide`: decisions on contents that the reviewer has claimed."""

    decisions: Annotated[
        tuple[ContentDecision, ...], Field(min_length=1, max_length=DECISIONS_AT_ONCE)
    ]
