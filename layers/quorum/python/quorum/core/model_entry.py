"""Models as data: an operator's description of a model that the package does not have. Pure.

An entry says where the model is called, what it costs, and how it is asked and read. It becomes a
`Model` like those of the registry (`quorum.core.registry`), which every voter is asked as.
"""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from quorum.core.fields import unkeepable
from quorum.core.json_types import NUMBER, WHOLE_NUMBER, TrueOrFalse
from quorum.core.models import CategoryName, Frozen
from quorum.core.registry import Model, Price, ReplyFormat, VoteFormat
from quorum.core.versions import version_of

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
"""The name of a model that was put: it stands in a URL, in panels and in the ledger's keys."""
FIELDS_LIMIT = 16
"""Extra fields of a request."""
FIELDS_DEPTH_LIMIT = 8
"""Objects and lists of an extra field, one in another."""
FIELDS_LENGTH_LIMIT = 4_000
"""Characters of all extra fields as JSON: they are sent with every request."""
CODES_LIMIT = 100
"""Codes of a guard model."""
_TAKEN = frozenset(
    {
        *("model", "messages", "stream", "stream_options", "response_format", "logprobs"),
        *("max_tokens", "max_completion_tokens", "n"),
    }
)
"""Fields of a request that Quorum itself sets."""
_NEEDS_CODES = (VoteFormat.LLAMA_GUARD, VoteFormat.QWEN3GUARD)
"""Formats whose replies name codes of their own."""

Printable = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[!-~]+$")]
"""Text without blanks, as URLs, names of models and keys are."""


def _keepable(fields: dict[str, Any]) -> dict[str, Any]:
    """`fields`; raises `ValueError` for values that JSON cannot keep, and for too much of them."""
    inner: list[Any] = list(fields.values())
    for _ in range(FIELDS_DEPTH_LIMIT):
        inner = [part for value in inner for part in _parts(value)]
    if inner:
        message = f"may hold at most {FIELDS_DEPTH_LIMIT} objects and lists, one in another"
        _refuse("", message, FIELDS_DEPTH_LIMIT)
    if (held := unkeepable(fields)) is not None:
        raise ValueError(f"holds {held}")
    if (length := len(json.dumps(fields, ensure_ascii=False))) > FIELDS_LENGTH_LIMIT:
        message = f"must have at most {FIELDS_LENGTH_LIMIT} characters as JSON; they have {length}"
        _refuse("", message, FIELDS_LENGTH_LIMIT)
    return fields


def _parts(value: Any) -> Iterable[Any]:
    """What an object or a list holds; nothing of another value."""
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


class ModelPrice(Price):
    """As `Price`, of which nothing is below zero."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=256)]

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        for name in ("input", "output", "cached_input", "reasoning"):
            price = getattr(self, name)
            if price is None:
                continue
            if not 0 <= price <= PRICE_LIMIT:
                _refuse(name, f"must be from 0 to {PRICE_LIMIT} dollars", PRICE_LIMIT)
            if round(price, PRICE_PLACES) != price:
                _refuse(name, f"must have at most {PRICE_PLACES} decimal places", PRICE_PLACES)
        return self


PRICE_LIMIT = 100_000
"""Dollars per million tokens at most: more is a slip of the pen."""
PRICE_PLACES = 12
"""Decimal places of a price: DynamoDB keeps 38 digits of what a vote costs."""


class ModelEntry(Frozen):
    """A model without its name: what is put, kept and shown to the deployment's operator.

    `gateway_name` is what requests call it. Without `base_url` the deployment's gateway is asked;
    with it that server alone, whose host the deployment must allow. `key` names the server's key in
    the deployment's secret, a JSON object then; without it the server gets the key of its base URL
    or host there, or none. `request_fields` are sent with every request: what keeps the model from
    reasoning, for example. `requests_per_minute` and `tokens_per_minute` are the model's limits
    where the deployment's parameters name none. A guard model has its `vote_format`, and
    `category_codes` says which categories each of its codes means. The rest is as in `Model`.
    """

    description: Annotated[str, StringConstraints(max_length=1_000)] = ""
    gateway_name: Printable
    owned_by: Annotated[
        str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w .-]+$")
    ] = "deployment"
    base_url: Printable | None = None
    key: Printable | None = None
    price: ModelPrice
    context_window: Annotated[int, Field(ge=512, le=100_000_000), WHOLE_NUMBER]
    tokens_per_second: Annotated[int, Field(ge=1, le=100_000), WHOLE_NUMBER]
    reply_format: ReplyFormat = ReplyFormat.INSTRUCTIONS
    gives_log_probabilities: TrueOrFalse = False
    request_fields: Annotated[
        dict[Annotated[str, StringConstraints(min_length=1, max_length=64)], Any],
        Field(max_length=FIELDS_LIMIT),
        AfterValidator(_keepable),
    ] = Field(default_factory=dict)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    token_factor: Annotated[float, Field(ge=0.1, le=10), NUMBER] = 1.0
    token_error: Annotated[float, Field(ge=0, le=1), NUMBER] = 0.0
    requests_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000), WHOLE_NUMBER] | None = None
    tokens_per_minute: Annotated[int, Field(ge=1, le=1_000_000_000_000), WHOLE_NUMBER] | None = None
    vote_format: VoteFormat = VoteFormat.JSON
    category_codes: Annotated[
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=64)],
            Annotated[tuple[CategoryName, ...], Field(max_length=32)],
        ],
        Field(max_length=CODES_LIMIT),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        taken = sorted(_TAKEN & self.request_fields.keys())
        if taken:
            _refuse(f"request_fields.{taken[0]}", "is set by Quorum itself")
        if self.key is not None and self.base_url is None:
            _refuse("key", "goes with base_url: the deployment's gateway has its own keys")
        if self.key == "*":
            _refuse("key", "must name one key of the secret")
        if self.vote_format in _NEEDS_CODES and not self.category_codes:
            _refuse("category_codes", f"is needed: what do the codes of {self.vote_format} mean?")
        if self.category_codes and self.vote_format in (VoteFormat.JSON, VoteFormat.SHIELDGEMMA):
            _refuse("category_codes", f"a reply of {self.vote_format} has no codes")
        spelled = [" ".join(code.casefold().split()) for code in self.category_codes]
        if len(set(spelled)) < len(spelled):
            _refuse("category_codes", "must differ in more than case and blanks")
        return self

    def model(self, name: str) -> Model:
        """The model of that name. Its revision is the version of all that its vote depends on."""
        return Model(
            name=name,
            gateway_name=self.gateway_name,
            owned_by=self.owned_by,
            price=Price.model_validate(dict(self.price)),
            context_window=self.context_window,
            tokens_per_second=self.tokens_per_second,
            reply_format=self.reply_format,
            gives_log_probabilities=self.gives_log_probabilities,
            reasoning_off=self.request_fields,
            token_factor=self.token_factor,
            token_error=self.token_error,
            revision=version_of(self.base_url or "", self.max_tokens_field),
            vote_format=self.vote_format,
            category_codes=self.category_codes,
            max_tokens_field=self.max_tokens_field,
        )

    def document(self) -> dict[str, Any]:
        """The entry as JSON types, without defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def version(self) -> str:
        """The version of the whole entry."""
        return version_of(self.document())


class NamedEntry(Frozen):
    """An entry in force, with its name and the model that it makes."""

    name: str
    entry: ModelEntry
    model: Model


def _refuse(field: str, message: str, limit: int | None = None) -> NoReturn:
    """Raise the error that names `field`, and `limit` where there is one."""
    named = {"field": field} if field else {}
    bound = {} if limit is None else {"limit": limit}
    raise PydanticCustomError("model_invalid", "{message}", {"message": message} | named | bound)
