"""What callers ask: the bodies of HTTP requests and of messages on the queue. Pure."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, ValidationError, model_validator

from quorum.case import Place
from quorum.errors import PanelInvalid
from quorum.models import (
    CONTENT_LIMIT,
    METADATA_LIMIT,
    NOTE_LIMIT,
    Content,
    Decision,
    Dollars,
    Frozen,
    Identifier,
    Review,
)
from quorum.normalise import normalise
from quorum.panel import Panel

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
    """The body of a message on the queue: a verdict request, whose it is, and of which batch.

    Who may put messages on the queue is decided by IAM, so the tenant they name is believed.
    """

    tenant: Identifier
    place: Place | None = None


class BatchRequest(Frozen):
    """The body of `POST /batches`: items, or the key of an upload that holds them.

    Items are validated one by one later: a bad one does not sink the others. `panel` judges where
    an item names none. When the batch has cost `alert_usd` an alert is published.
    """

    items: list[Any] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    alert_usd: Dollars | None = None

    @model_validator(mode="after")
    def _either(self) -> "BatchRequest":
        if (self.items is None) == (self.upload is None):
            raise ValueError("give either items or upload")
        return self


class Rejection(Frozen):
    """Why an item was not taken: which field, and what of it. Never quotes content."""

    code: str
    message: str
    field: str | None = None
    limit: Any = None


_LIMITS = ("max_length", "min_length", "le", "ge", "lt", "gt", "pattern", "expected")


def rejection(error: ValidationError, *, skip: int = 0) -> Rejection:
    """The first thing wrong with an item that stands `skip` levels down in what was validated."""
    first = error.errors(include_input=False, include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"][skip:]) or None
    kind = str(first["type"])
    limit = next((first["ctx"][name] for name in _LIMITS if name in first.get("ctx", {})), None)
    code = (
        "unknown_field"
        if kind == "extra_forbidden"
        else f"invalid_{(field or 'item').split('.')[0]}"
    )
    if kind.startswith("json"):
        code, field = "invalid_json", None
    message = str(first["msg"]).removeprefix("Value error, ")
    return Rejection(
        code=code,
        message=f"{field}: {message}"
        if field
        else ("not JSON" if code == "invalid_json" else message),
        field=field,
        limit=limit,
    )


def read_item(
    given: Any, seated: str, panel_called: Callable[[str], Panel]
) -> VerdictRequest | Rejection:
    """An item of a batch, its panel named, or why it is rejected; bytes are read as JSON.

    `seated` is the batch's panel; one the item names itself must be known to `panel_called`.
    """
    try:
        item = (
            VerdictRequest.model_validate_json(given)
            if isinstance(given, bytes)
            else VerdictRequest.model_validate(given)
        )
    except ValidationError as error:
        return rejection(error)
    if item.panel is None:
        return item.model_copy(update={"panel": seated})
    try:
        panel_called(item.panel)
    except PanelInvalid as invalid:
        return Rejection(code="invalid_panel", message=str(invalid), field="panel")
    return item
