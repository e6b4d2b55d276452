"""The bodies of requests about one verdict. Pure."""

import re
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from quorum.core.fields import MetadataName, MetadataValue, not_blank, whole
from quorum.core.models import (
    CONTENT_LIMIT,
    CONTEXT_MESSAGES_LIMIT,
    CONTEXT_TEXT_LIMIT,
    METADATA_LIMIT,
    Author,
    Content,
    Context,
    Decision,
    Frozen,
    Identifier,
    Note,
    Review,
    ReviewCategories,
)
from quorum.vote.context import normalised
from quorum.vote.size import context_too_large, too_large


def _not_too_large(text: str) -> str:
    """`text`; raises `PydanticCustomError` with the limit it breaks once normalised."""
    broken = too_large(text)
    if broken is not None:
        raise PydanticCustomError(
            "too_large", "{message}", {"message": broken.message, "limit": broken.limit}
        )
    return text


def _language(tag: str) -> str:
    """The language of a tag, as ISO 639 writes it: "en" of "en-US"."""
    return re.split("[-_]", tag)[0].lower()


PolicyName = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}(@([0-9a-f]{12}|packaged))?$", max_length=80),
]
"""The name of a policy, or one of its versions: `gaming`, `gaming@3f2a9c01b7de`."""

Text = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CONTENT_LIMIT),
    # Not refused: a program that cuts a text inside an emoji means the rest of it.
    BeforeValidator(whole),
    AfterValidator(not_blank),
    AfterValidator(_not_too_large),
]
"""The text of a content in a request."""
LanguageTag = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*$", max_length=35),
    AfterValidator(_language),
]
"""A language by its code of ISO 639 (`en`), or by a tag that begins with one (`en-US`), as browsers
give it."""


ContextText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=CONTEXT_TEXT_LIMIT),
    BeforeValidator(whole),
    AfterValidator(not_blank),
]
"""An earlier message, or a parent post."""


class ContextRequest(Frozen):
    """The context of a content: earlier `messages`, the oldest first, or the `parent` post.

    `author` has facts about the author of the content. Language models are shown it as data.
    """

    messages: Annotated[tuple[ContextText, ...], Field(max_length=CONTEXT_MESSAGES_LIMIT)] = ()
    parent: ContextText | None = None
    author: Author | None = None

    @model_validator(mode="after")
    def _not_too_large(self) -> Self:
        texts = (*self.messages, *(() if self.parent is None else (self.parent,)))
        broken = context_too_large(texts)
        if broken is not None:
            raise PydanticCustomError(
                "too_large", "{message}", {"message": broken.message, "limit": broken.limit}
            )
        return self

    def to_context(self) -> Context | None:
        """The context as voters are shown it; None if there is nothing in it."""
        return normalised(Context(messages=self.messages, parent=self.parent, author=self.author))


class VerdictRequest(Frozen):
    """The body of `POST /verdicts`.

    `context` is what the content belongs to. `language` is the content's; `default_language` is
    assumed where it is not given and cannot be told.
    """

    content: Text
    id: Identifier | None = None
    language: LanguageTag | None = None
    default_language: LanguageTag | None = None
    context: ContextRequest | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    policy: PolicyName | None = None
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
            context=None if self.context is None else self.context.to_context(),
            metadata=self.metadata,
        )


class ReviewRequest(Frozen):
    """The body of `POST /verdicts/{id}/review`: a person's decision and name.

    `needs_review` withdraws an earlier review.
    """

    decision: Decision
    reviewer: Identifier
    categories: ReviewCategories = ()
    note: Note = ""

    def to_review(self, now: datetime) -> Review:
        """The review, made `now` (UTC)."""
        return Review(
            decision=self.decision,
            reviewer=self.reviewer,
            categories=self.categories,
            note=self.note,
            reviewed_at=now,
        )
