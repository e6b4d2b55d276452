"""The bodies of requests about one verdict. Pure."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from quorum.core.fields import MetadataName, MetadataValue, not_blank
from quorum.core.models import (
    CONTENT_LIMIT,
    METADATA_LIMIT,
    NOTE_LIMIT,
    Content,
    Decision,
    Frozen,
    Identifier,
    LanguageCode,
    Review,
)
from quorum.vote.size import too_large


def _not_too_large(text: str) -> str:
    """`text`; raises `PydanticCustomError` with the limit it breaks once normalised."""
    broken = too_large(text)
    if broken is not None:
        raise PydanticCustomError(
            "too_large", "{message}", {"message": broken.message, "limit": broken.limit}
        )
    return text


Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CONTENT_LIMIT),
    AfterValidator(not_blank),
    AfterValidator(_not_too_large),
]
"""The text of a content in a request."""


class VerdictRequest(Frozen):
    """The body of `POST /verdicts`.

    `language` is the content's; `default_language` is assumed where it is not given and cannot be
    told.
    """

    content: Text
    id: Identifier | None = None
    language: LanguageCode | None = None
    default_language: LanguageCode | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, max_length=METADATA_LIMIT
    )

    def to_content(self) -> Content:
        """The content to be judged."""
        return Content(
            text=self.content,
            id=self.id,
            language=self.language,
            default_language=self.default_language,
            metadata=self.metadata,
        )


class ReviewRequest(Frozen):
    """The body of `POST /verdicts/{id}/review`: a person's decision and name.

    `needs_review` withdraws an earlier review.
    """

    decision: Decision
    reviewer: Identifier
    note: Annotated[str, StringConstraints(max_length=NOTE_LIMIT)] = ""

    def to_review(self, now: datetime) -> Review:
        """The review, made `now` (UTC)."""
        return Review(
            decision=self.decision, reviewer=self.reviewer, note=self.note, reviewed_at=now
        )
