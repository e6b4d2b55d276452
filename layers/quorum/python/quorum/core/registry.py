"""The models Quorum knows: names, prices, limits and quirks.

A model that votes has an entry here, a function in the template and a branch in the vote machine (a
contract test says which was forgotten).
"""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Literal

from pydantic import Field

from quorum.core import embedded_voters
from quorum.core.embedded_voters import Trained
from quorum.core.errors import InvalidRequest, ModelUnknown
from quorum.core.models import Category, CategoryName, Frozen, Money, Tokens

MILLION = Decimal(1_000_000)


class Price(Frozen):
    """US dollars per million tokens, as published on `as_of` at `source`.

    Where `cached_input` or `reasoning` is None, the price of input or output applies.
    """

    input: Money
    output: Money
    cached_input: Money | None = None
    reasoning: Money | None = None
    as_of: date
    source: str

    def cost(self, tokens: Tokens) -> Decimal:
        """Exact dollars for `tokens`: each kind at its own price."""
        cached_price = self.input if self.cached_input is None else self.cached_input
        reasoning_price = self.output if self.reasoning is None else self.reasoning
        return (
            (tokens.input - tokens.cached_input) * self.input
            + tokens.cached_input * cached_price
            + (tokens.output - tokens.reasoning) * self.output
            + tokens.reasoning * reasoning_price
        ) / MILLION


class ReplyFormat(StrEnum):
    """How a model is asked for JSON: by schema, by JSON mode, or by the instructions alone."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    INSTRUCTIONS = "instructions"


class VoteFormat(StrEnum):
    """How a model is asked for its vote, and how its reply is read.

    `json`: it is told the policy and answers as the policy asks. The others are guard models, which
    have a prompt and an answer of their own (`quorum.vote.guards`).
    """

    JSON = "json"
    LLAMA_GUARD = "llama_guard"
    SHIELDGEMMA = "shieldgemma"
    SAFEGUARD = "safeguard"
    QWEN3GUARD = "qwen3guard"


class Model(Frozen):
    """One model. `name` is also the voter's name; `gateway_name` is what the gateway calls it.

    `owned_by` is the vendor. `context_window` is in tokens, prompt and answer together;
    `tokens_per_second` is the expected speed. `reasoning_off` holds the request fields that keep
    the model from reasoning. `token_factor` is its tokens per token of `o200k_base`, by which its
    prompts are estimated; `token_error` is the relative error of that estimate that nine of ten
    texts keep within. `revision` is an embedded voter's trained state: votes of another revision
    are not reused; `categories` are those that it gives scores to, `languages` those that it
    reads. `category_codes` says which of
    a policy's categories each code in a guard model's reply means; none where it means none of
    them. `max_tokens_field` is what the request calls the limit of its answer.
    """

    name: str
    kind: Literal["gateway", "embedded"] = "gateway"
    gateway_name: str = ""
    owned_by: str = "quorum"
    aliases: tuple[str, ...] = ()
    price: Price
    context_window: int = 0
    tokens_per_second: int = 0
    reply_format: ReplyFormat = ReplyFormat.INSTRUCTIONS
    gives_log_probabilities: bool = False
    reasoning_off: dict[str, object] = Field(default_factory=dict)
    token_factor: float = 1.0
    token_error: float = 0.0
    votes: bool = True
    revision: str = ""
    categories: tuple[Category, ...] = ()
    languages: tuple[str, ...] = ()
    vote_format: VoteFormat = VoteFormat.JSON
    category_codes: dict[str, tuple[CategoryName, ...]] = Field(default_factory=dict)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"


_OPENAI = ("openai.com/api/pricing", date(2025, 4, 14))
_GOOGLE = ("ai.google.dev/gemini-api/docs/pricing", date(2025, 11, 1))
_DEEPSEEK = ("api-docs.deepseek.com/quick_start/pricing", date(2025, 9, 29))
_ANTHROPIC = ("anthropic.com/pricing", date(2025, 9, 29))
"""Source and date of each vendor's list prices; a gateway may add its own margin."""
_FREE = Price(
    input=Decimal(0), output=Decimal(0), as_of=date(2026, 11, 1), source="runs inside its Lambda"
)

# Completion tokens reported for 1,706 published replies (llm-content-moderation-analysis, English)
# divided by o200k_base's count; the error that nine of ten keep within, on replies not fitted to
# (`python -m bench.token_error`). The count is exact for gpt-4o-mini, which uses o200k_base.
_DEEPSEEK_TOKENS, _DEEPSEEK_ERROR = 1.05, 0.033
_GEMINI_TOKENS, _GEMINI_ERROR = 1.09, 0.049
_CLAUDE_TOKENS, _CLAUDE_ERROR = 1.19, 0.064


def _price(published: tuple[str, date], input_: str, output: str, cached_input: str) -> Price:
    source, as_of = published
    return Price(
        input=Decimal(input_),
        output=Decimal(output),
        cached_input=Decimal(cached_input),
        as_of=as_of,
        source=source,
    )


_EMBEDDED = embedded_voters.installed()


def _embedded(name: str, trained: Trained) -> Model:
    return Model(
        name=name,
        kind="embedded",
        price=_FREE,
        revision=trained.revision,
        categories=trained.categories,
        languages=trained.languages,
    )


MODELS: tuple[Model, ...] = (
    Model(
        name="gpt-4.1",
        gateway_name="gpt-4.1",
        owned_by="openai",
        aliases=("gpt-4.1-2025-04-14",),
        price=_price(_OPENAI, "2.00", "8.00", "0.50"),
        context_window=1_047_576,
        tokens_per_second=90,
        reply_format=ReplyFormat.JSON_SCHEMA,
        gives_log_probabilities=True,
    ),
    Model(
        name="gpt-4.1-mini",
        gateway_name="gpt-4.1-mini",
        owned_by="openai",
        aliases=("gpt-4.1-mini-2025-04-14",),
        price=_price(_OPENAI, "0.40", "1.60", "0.10"),
        context_window=1_047_576,
        tokens_per_second=80,
        reply_format=ReplyFormat.JSON_SCHEMA,
        gives_log_probabilities=True,
        votes=False,
    ),
    Model(
        name="gpt-4.1-nano",
        gateway_name="gpt-4.1-nano",
        owned_by="openai",
        aliases=("gpt-4.1-nano-2025-04-14",),
        price=_price(_OPENAI, "0.10", "0.40", "0.025"),
        context_window=1_047_576,
        tokens_per_second=150,
        reply_format=ReplyFormat.JSON_SCHEMA,
        gives_log_probabilities=True,
    ),
    Model(
        name="gemini-2.5-flash",
        gateway_name="gemini-2.5-flash",
        owned_by="google",
        price=_price(_GOOGLE, "0.30", "2.50", "0.03"),
        context_window=1_048_576,
        tokens_per_second=200,
        token_factor=_GEMINI_TOKENS,
        token_error=_GEMINI_ERROR,
        reply_format=ReplyFormat.JSON_SCHEMA,
        reasoning_off={"reasoning_effort": "none"},
    ),
    Model(
        name="gemini-2.5-flash-lite",
        gateway_name="gemini-2.5-flash-lite",
        owned_by="google",
        price=_price(_GOOGLE, "0.10", "0.40", "0.01"),
        context_window=1_048_576,
        tokens_per_second=300,
        token_factor=_GEMINI_TOKENS,
        token_error=_GEMINI_ERROR,
        reply_format=ReplyFormat.JSON_SCHEMA,
        reasoning_off={"reasoning_effort": "none"},
    ),
    Model(
        name="deepseek-v3.2",
        gateway_name="deepseek-v3.2",
        owned_by="deepseek",
        aliases=("deepseek-chat", "deepseek-v3"),
        price=_price(_DEEPSEEK, "0.28", "0.42", "0.028"),
        context_window=64_000,
        tokens_per_second=127,
        token_factor=_DEEPSEEK_TOKENS,
        token_error=_DEEPSEEK_ERROR,
        reply_format=ReplyFormat.JSON_OBJECT,
        gives_log_probabilities=True,
    ),
    Model(
        name="deepseek-coder",
        gateway_name="deepseek-coder",
        owned_by="deepseek",
        price=_price(_DEEPSEEK, "0.28", "0.42", "0.028"),
        context_window=16_000,
        tokens_per_second=127,
        token_factor=_DEEPSEEK_TOKENS,
        token_error=_DEEPSEEK_ERROR,
        reply_format=ReplyFormat.JSON_OBJECT,
        votes=False,
    ),
    Model(
        name="claude-sonnet-4.5",
        gateway_name="claude-sonnet-4.5",
        owned_by="anthropic",
        aliases=("claude-sonnet-4-5",),
        price=_price(_ANTHROPIC, "3.00", "15.00", "0.30"),
        context_window=200_000,
        tokens_per_second=70,
        token_factor=_CLAUDE_TOKENS,
        token_error=_CLAUDE_ERROR,
    ),
    _embedded("rules", _EMBEDDED.rules),
    _embedded("characters", _EMBEDDED.characters),
    _embedded("meaning", _EMBEDDED.meaning),
)


@cache
def _by_name() -> dict[str, Model]:
    return {name: model for model in MODELS for name in (model.name, *model.aliases)}


def model(name: str) -> Model:
    """The model called `name`, by its own name or an alias; raises `ModelUnknown`."""
    found = _by_name().get(name)
    if found is None:
        raise ModelUnknown(name, (known.name for known in MODELS))
    return found


def own_name(name: str) -> str:
    """The name under which the registry lists a model; the given one if it lists none."""
    found = _by_name().get(name)
    return name if found is None else found.name


def answering(name: str) -> Model:
    """The model called `name`, if it can generate text.

    Raises `ModelUnknown`, and `InvalidRequest` for an embedded voter.
    """
    found = model(name)
    if found.kind != "gateway":
        raise InvalidRequest(
            f"model: {found.name} is a classifier: it can vote but cannot generate text",
            code="invalid_model",
            field="model",
        )
    return found


def voters() -> tuple[Model, ...]:
    """The models that vote, in registry order."""
    return tuple(known for known in MODELS if known.votes)
