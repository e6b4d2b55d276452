"""What callers ask: the bodies of HTTP requests and of messages on the queue. Pure."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints

from quorum.models import (
    CONTENT_LIMIT,
    METADATA_LIMIT,
    NOTE_LIMIT,
    Content,
    Decision,
    Frozen,
    Identifier,
    Review,
)
from quorum.normalise import normalise

METADATA_VALUE_LIMIT = 256
"""Characters of one metadata value."""


def _not_blank(text: str) -> str:
    if not normalise(text).text:
        raise ValueError("must hold something to judge, not only white space or hidden characters")
    return text


Text = Annotated[
    str, StringConstraints(min_length=1, max_length=CONTENT_LIMIT), AfterValidator(_not_blank)
]
"""A content's text as a request brings it."""


def _simple(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= METADATA_VALUE_LIMIT:
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(
        f"must be a string (at most {METADATA_VALUE_LIMIT} characters), number, boolean or null"
    )


MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[Any, AfterValidator(_simple)]


class VerdictRequest(Frozen):
    """The body of `POST /verdicts`."""

    content: Text
    id: Identifier | None = None
    language: Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")] | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, max_length=METADATA_LIMIT
    )

    def to_content(self) -> Content:
        """The content to be judged."""
        return Content(
            text=self.content, id=self.id, language=self.language, metadata=self.metadata
        )


class ReviewRequest(Frozen):
    """The body of `POST /verdicts/{id}/review`: what a person decided, and who that was."""

    decision: Literal[Decision.SAFE, Decision.UNSAFE]
    reviewer: Identifier
    note: Annotated[str, StringConstraints(max_length=NOTE_LIMIT)] = ""

    def to_review(self, now: datetime) -> Review:
        """The review, made `now` (UTC)."""
        return Review(
            decision=self.decision, reviewer=self.reviewer, note=self.note, reviewed_at=now
        )


class QueuedItem(VerdictRequest):
    """The body of a message on the queue: a verdict request and whose it is.

    Who may put messages on the queue is decided by IAM, so the tenant they name is believed.
    """

    tenant: Identifier
