"""The bodies of requests and messages about documents. Pure."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from quorum.core.fields import AlertDollars, MetadataName, MetadataValue, not_blank, whole
from quorum.core.json_names import NameRepeated, require_unrepeated
from quorum.core.json_types import WHOLE_NUMBER, TrueOrFalse
from quorum.core.models import METADATA_LIMIT, Frozen, Identifier
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection, name_repeated, rejection
from quorum.core.unicode import whole_json
from quorum.document.operations import PROMPT_LIMIT, Category, Language, Operation, Work
from quorum.document.schemas import refused

LINE_BYTES = 16 * 1024 * 1024
"""Bytes of one line of an upload: a document of 10 MiB takes 14 MiB in base64."""
_OPTIONS: Mapping[str, Operation] = {
    "sentences": Operation.SUMMARIZE,
    "categories": Operation.CLASSIFY,
    "target_language": Operation.TRANSLATE,
    "reply_schema": Operation.EXTRACT,
    "prompt": Operation.CUSTOM,
}
"""The operation that each option belongs to."""


def _different(categories: list[str]) -> list[str]:
    if len({category.casefold() for category in categories}) < len(categories):
        raise ValueError("must not name a category twice")
    return categories


def _taken(schema: dict[str, Any]) -> dict[str, Any]:
    why = refused(schema)
    if why is not None:
        raise ValueError(f"the schema {why}")
    return schema


class OperationRequest(Frozen):
    """The work on documents: the operation, its options and the model."""

    model_config = ConfigDict(populate_by_name=True)

    operation: Operation
    model: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    sentences: Annotated[int, Field(ge=1, le=20), WHOLE_NUMBER] | None = None
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
                raise ValueError(f"{operation} needs the field {shown}")
        return self

    def to_work(self, default_model: str) -> Work:
        """The work, with defaults for missing options; `model` is not resolved."""
        given = {name: getattr(self, name) for name in _OPTIONS}
        return Work(
            operation=self.operation,
            model=self.model or default_model,
            **{name: value for name, value in given.items() if value is not None},
        )


class DocumentsRequest(OperationRequest):
    """The body of `POST /documents`: the work, and documents or the key of an upload of them.

    Documents are validated one by one later: an invalid one does not stop the others.
    """

    documents: list[Any] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    alert_usd: AlertDollars | None = None

    @model_validator(mode="after")
    def _either(self) -> "DocumentsRequest":
        if (self.documents is None) == (self.upload is None):
            raise ValueError("give either documents or upload, not both")
        return self


class EstimateRequest(DocumentsRequest):
    """The body of `POST /documents/estimate`: that of `POST /documents`, and `compare`."""

    compare: TrueOrFalse = False


def _base64(content: str) -> str:
    try:
        base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("must be base64") from None
    return content


class DocumentRequest(Frozen):
    """One document: its `text`, its `content` in base64, or the key of its `upload`."""

    id: Identifier | None = None
    text: (
        Annotated[
            str, StringConstraints(min_length=1), BeforeValidator(whole), AfterValidator(not_blank)
        ]
        | None
    ) = None
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
            raise ValueError("must have exactly one of text, content and upload")
        return self

    def body(self) -> bytes | None:
        """The document's bytes; None if it was uploaded."""
        if self.text is not None:
            return self.text.encode(errors="replace")
        return None if self.content is None else base64.b64decode(self.content)


class QueuedDocument(Frozen):
    """The body of a message on the queue of documents: the key of a content and its origin.

    `is_text` says that the content is plain text in UTF-8, so that no parser is needed. The work to
    do is in the record of its batch.
    """

    tenant: Identifier
    position: BatchPosition
    key: str
    is_text: bool = False
    id: Identifier | None = None
    media_type: str | None = None
    name: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)


def read_document(given: Any) -> DocumentRequest | Rejection:
    """A document of a batch, or its rejection; bytes are a line of an upload, read as JSON."""
    if isinstance(given, bytes) and len(given) > LINE_BYTES:
        return Rejection(
            code="too_long", message=f"the line is longer than {LINE_BYTES} bytes", limit=LINE_BYTES
        )
    try:
        if not isinstance(given, bytes):
            return DocumentRequest.model_validate(given)
        line = whole_json(given)
        read = DocumentRequest.model_validate_json(line)
        require_unrepeated(line)
    except ValidationError as error:
        return rejection(error)
    except NameRepeated as error:
        return name_repeated(error)
    return read
