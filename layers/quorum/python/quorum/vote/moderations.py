"""The form of the OpenAI API's moderations: its requests and its answers. Pure.

Format: the OpenAI API reference, "Moderations", "Create moderation" and "The moderation object".
Added are `policy` in the request, and `quorum` in each result: what that form has no word for.

The panel's pooled score of a category is its `category_scores`. OpenAI's form wants a number for
each of its thirteen categories: one that no voter judged has the score 0, no applied input type,
and is named in `not_covered`. A category is true only in a result that is flagged.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag, model_validator
from pydantic_core import PydanticCustomError

from quorum.core.models import (
    CONTENT_LIMIT,
    Abstention,
    Category,
    CategoryName,
    CategoryScore,
    Content,
    Decision,
    Disposition,
    Dollars,
    Frozen,
    Probability,
    Verdict,
)
from quorum.core.rejection import ALTERNATIVE
from quorum.vote.requests import PolicyName, Text
from quorum.vote.size import too_large

INPUTS_LIMIT = 100
"""Texts of one request, or parts of one text."""
CHARACTERS_LIMIT = 1_048_576
"""Characters of all texts of one request: a caller waits for all, and 28 s at most."""
_OPENAI_MODELS = re.compile(r"(omni|text)-moderation(-[\w.-]+)?")
"""Names of OpenAI's own moderation models, for which the default panel judges."""

_ONE, _TEXTS, _PARTS = (f"{ALTERNATIVE}{name}" for name in ("one", "texts", "parts"))


def _alternative(given: Any) -> str:
    """Which form `input` has, so that an error is about the one that was sent."""
    if not isinstance(given, list | tuple):
        return _ONE
    return _PARTS if given and isinstance(given[0], dict | TextPart) else _TEXTS


def _text_or_list(given: Any) -> Any:
    """`given`; raises `PydanticCustomError` for what has none of the forms of `input`."""
    if not isinstance(given, str | list | tuple):
        raise PydanticCustomError(
            "no_text", "must be a text, a list of texts, or a list of parts of the type text"
        )
    characters = sum(len(text) for text in given if isinstance(text, str))
    if characters > CHARACTERS_LIMIT:
        raise PydanticCustomError(
            "too_large",
            "must have at most {limit} characters in all its texts; it has {characters}",
            {"limit": CHARACTERS_LIMIT, "characters": characters},
        )
    return given


def _no_image(kind: Any) -> Any:
    """`kind`; raises `PydanticCustomError` for a part that is an image."""
    if kind == "image_url":
        raise PydanticCustomError(
            "image_unsupported",
            "images cannot be judged; send parts of the type {expected}",
            {"expected": "text"},
        )
    return kind


class TextPart(Frozen):
    """A part of one text; a part that is an image cannot be judged."""

    type: Annotated[Literal["text"], BeforeValidator(_no_image)]
    text: Text


class ModerationRequest(Frozen):
    """The body of `POST /moderations`.

    `input` is a text, a list of texts, or a list of parts that are one text together, joined by
    line breaks. `model` names a panel; OpenAI's own names, and none, mean the default one.
    """

    input: Annotated[
        Annotated[Text, Tag(_ONE)]
        | Annotated[tuple[Text, ...], Field(min_length=1, max_length=INPUTS_LIMIT), Tag(_TEXTS)]
        | Annotated[
            tuple[TextPart, ...], Field(min_length=1, max_length=INPUTS_LIMIT), Tag(_PARTS)
        ],
        Discriminator(_alternative),
        BeforeValidator(_text_or_list),
    ]
    model: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    policy: PolicyName | None = None

    @model_validator(mode="after")
    def _parts_not_too_large(self) -> Self:
        (*_, text) = self.texts()
        if len(text) > CONTENT_LIMIT:
            message = f"the parts together must have at most {CONTENT_LIMIT} characters"
            raise _too_large(message, CONTENT_LIMIT)
        broken = too_large(text)
        if broken is not None:
            raise _too_large(broken.message, broken.limit)
        return self

    def texts(self) -> tuple[str, ...]:
        """The texts to be judged, in order."""
        if isinstance(self.input, str):
            return (self.input,)
        texts = tuple(one for one in self.input if isinstance(one, str))
        parts = tuple(one.text for one in self.input if isinstance(one, TextPart))
        return ("\n".join(parts),) if parts else texts

    def contents(self) -> list[Content]:
        """The contents to be judged, in order."""
        return [Content(text=text) for text in self.texts()]

    def panel(self, default: str) -> str:
        """The name of the panel that judges."""
        if self.model is None or _OPENAI_MODELS.fullmatch(self.model):
            return default
        return self.model


def _too_large(message: str, limit: int) -> PydanticCustomError:
    facts = {"message": message, "limit": limit, "field": "input"}
    return PydanticCustomError("too_large", "{message}", facts)


class Explanation(Frozen):
    """What OpenAI's form has no word for: the decision, the verdict's id and the reason.

    `categories` are those of the policy's own; `not_covered` those of the thirteen that no voter
    judged, or that the policy does not ask about. `cost_usd` is zero for a text that the request
    holds a second time.
    """

    decision: Decision
    action: Disposition
    verdict_id: str
    reason: str
    score: Probability
    cost_usd: Dollars
    categories: dict[CategoryName, CategoryScore]
    not_covered: tuple[Category, ...]


class ModerationResult(Frozen):
    """The result for one text, with a value for each of the thirteen categories."""

    flagged: bool
    categories: dict[Category, bool]
    category_scores: dict[Category, Probability]
    category_applied_input_types: dict[Category, tuple[Literal["text"], ...]]
    quorum: Explanation


class Moderation(Frozen):
    """An answer in the form of the OpenAI API; `model` is the panel that judged."""

    id: str
    model: str
    results: tuple[ModerationResult, ...]


def moderation(
    verdicts: Sequence[Verdict], *, name: str, panel: str, flags_review: bool
) -> Moderation:
    """The verdicts, in order, as a moderation called `name`.

    `flags_review` says that a text that needs a review is flagged, too.
    """
    seen: set[str] = set()
    results: list[ModerationResult] = []
    for verdict in verdicts:
        results.append(_result(verdict, flags_review=flags_review, again=verdict.id in seen))
        seen.add(verdict.id)
    return Moderation(id=name, model=panel, results=tuple(results))


def _result(verdict: Verdict, *, flags_review: bool, again: bool) -> ModerationResult:
    flagged = verdict.decision is Decision.UNSAFE or (
        flags_review and verdict.decision is Decision.NEEDS_REVIEW
    )
    scores = verdict.category_scores
    covered = {category: str(category) in scores for category in Category}
    return ModerationResult(
        flagged=flagged,
        categories={
            category: flagged and there and scores[category].flagged
            for category, there in covered.items()
        },
        category_scores={
            category: scores[category].score if there else 0.0
            for category, there in covered.items()
        },
        category_applied_input_types={
            category: ("text",) if there else () for category, there in covered.items()
        },
        quorum=Explanation(
            decision=verdict.decision,
            action=verdict.action,
            verdict_id=verdict.id,
            reason="; ".join((verdict.reason, *_why_nobody_voted(verdict))),
            score=verdict.score,
            cost_usd=Decimal(0) if again else verdict.cost_usd,
            categories={name: score for name, score in scores.items() if name not in covered},
            not_covered=tuple(category for category, there in covered.items() if not there),
        ),
    )


def _why_nobody_voted(verdict: Verdict) -> tuple[str, ...]:
    """What kept all voters from voting, each once; nothing where one did."""
    missing = [vote for vote in verdict.votes if isinstance(vote, Abstention)]
    if len(missing) < len(verdict.votes):
        return ()
    return tuple(dict.fromkeys(vote.detail or str(vote.reason) for vote in missing))
