"""What is asked of a model, everything its answer depends on, and the answer. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from quorum.core.models import Dollars, Frozen, Tokens
from quorum.gateway.sampling import Sampling


class ChatMessage(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Question(Sampling):
    """A conversation that a model is to go on with; `model` is a name or an alias of it.

    With `reply_schema` the answer is asked for as JSON of that schema, with `reply_json` as any
    JSON object, as strictly as the model supports.
    """

    model: str
    messages: tuple[ChatMessage, ...] = Field(min_length=1)
    max_output_tokens: int = Field(ge=1)
    temperature: float = Field(default=1.0, ge=0, le=2)
    reply_schema: Mapping[str, Any] | None = None
    reply_json: bool = False


class Answered(Frozen):
    """A model's answer, and what it took.

    `cost_usd` is what it cost now: nothing when `cached`, and then `saved_usd` is what it had cost.
    `finish_reason` is the model's own: `stop`, `length`, `content_filter`.
    """

    text: str
    finish_reason: str | None = None
    refusal: str | None = None
    model: str
    tokens: Tokens
    cost_usd: Dollars
    cost_estimated: bool = False
    cached: bool = False
    saved_usd: Dollars = Decimal(0)
    latency_ms: int = 0
    first_token_ms: int | None = None
