"""What callers ask: the bodies of HTTP requests and of messages on the queue. Pure."""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from quorum.document.operations import PROMPT_LIMIT, Category, Language, Operation, Work
from quorum.document.schemas import refused
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
from quorum.vote.case import Place
from quorum.vote.normalise import normalise
from quorum.vote.panel import Panel

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


_OPTIONS: Mapping[str, Operation] = {
    "sentences": Operation.SUMMARIZE,
    "categories": Operation.CLASSIFY,
    "target_language": Operation.TRANSLATE,
    "reply_schema": Operation.EXTRACT,
    "prompt": Operation.CUSTOM,
}
"""Which option is of which operation."""


def _different(categories: list[str]) -> list[str]:
    if len({category.casefold() for category in categories}) < len(categories):
        raise ValueError("each category once")
    return categories


def _taken(schema: dict[str, Any]) -> dict[str, Any]:
    why = refused(schema)
    if why is not None:
        raise ValueError(f"the schema {why}")
    return schema


class OperationRequest(Frozen):
    """What is to be done with documents: the operation, its options, and who does it."""

    model_config = ConfigDict(populate_by_name=True)

    operation: Operation
    model: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    sentences: Annotated[int, Field(ge=1, le=20)] | None = None
    categories: (
        Annotated[list[Category], Field(min_length=2, max_length=50), AfterValidator(_different)]
        | None
    ) = None
    target_language: Language | None = None
    reply_schema: Annotated[dict[str, Any], AfterValidator(_taken)] | None = Field(
        default=None, alias="schema"
    )
    prompt: Annotated[str, StringConstraints(min_length=1, max_length=PROMPT_LIMIT)] | None = None

    @model_validator(mode="after")
    def _options_fit(self) -> "OperationRequest":
        for name, operation in _OPTIONS.items():
            given = getattr(self, name) is not None
            shown = "schema" if name == "reply_schema" else name
            if given and operation is not self.operation:
                raise ValueError(f"{shown} is an option of {operation}, not of {self.operation}")
            if (
                not given
                and operation is self.operation
                and operation in (Operation.EXTRACT, Operation.CUSTOM)
            ):
                raise ValueError(f"{operation} needs a {shown}")
        return self

    def to_work(self, default_model: str) -> Work:
        """The work, with what the request leaves open; `model` is taken as it is."""
        given = {name: getattr(self, name) for name in _OPTIONS}
        return Work(
            operation=self.operation,
            model=self.model or default_model,
            **{name: value for name, value in given.items() if value is not None},
        )


class DocumentsRequest(OperationRequest):
    """The body of `POST /documents`: the work, and documents or the key of an upload of them.

    Documents are validated one by one later: a bad one does not sink the others.
    """

    documents: list[Any] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    alert_usd: Dollars | None = None

    @model_validator(mode="after")
    def _either(self) -> "DocumentsRequest":
        if (self.documents is None) == (self.upload is None):
            raise ValueError("give either documents or upload")
        return self


class EstimateRequest(DocumentsRequest):
    """The body of `POST /documents/estimate`: that of `POST /documents`; `compare` all models."""

    compare: bool = False


def _base64(content: str) -> str:
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    return content


class DocumentRequest(Frozen):
    """One document: its `text`, or its `content` (base64) or its `upload` with what it is."""

    id: Identifier | None = None
    text: Annotated[str, StringConstraints(min_length=1), AfterValidator(_not_blank)] | None = None
    content: Annotated[str, StringConstraints(min_length=1), AfterValidator(_base64)] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    media_type: Annotated[str, StringConstraints(max_length=128)] | None = None
    name: Annotated[str, StringConstraints(max_length=256)] | None = None
    metadata: dict[MetadataName, MetadataValue] = Field(
        default_factory=dict, max_length=METADATA_LIMIT
    )

    @model_validator(mode="after")
    def _one(self) -> "DocumentRequest":
        if sum(given is not None for given in (self.text, self.content, self.upload)) != 1:
            raise ValueError("give one of text, content and upload")
        return self

    def body(self) -> bytes | None:
        """The document itself; None for one that was uploaded."""
        if self.text is not None:
            return self.text.encode(errors="replace")
        return None if self.content is None else base64.b64decode(self.content)


class QueuedDocument(Frozen):
    """The body of a message on the queue of documents: where its content is, and what of.

    `is_text` where the content is plain text in UTF-8, so that nothing has to be read out of it.
    What is to be done with it is said by its batch.
    """

    tenant: Identifier
    place: Place
    key: str
    is_text: bool = False
    id: Identifier | None = None
    media_type: str | None = None
    name: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


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


def read_document(given: Any) -> DocumentRequest | Rejection:
    """A document of a batch, or why it is rejected; bytes are read as JSON."""
    try:
        return (
            DocumentRequest.model_validate_json(given)
            if isinstance(given, bytes)
            else DocumentRequest.model_validate(given)
        )
    except ValidationError as error:
        return rejection(error)


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
