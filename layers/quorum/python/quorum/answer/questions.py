"""Questions to a model, with everything the answer depends on, and answers. Pure."""

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
    """A conversation that a model is to continue; `model` is its name or an alias.

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
    """A model's answer, with its tokens and cost.

    `cost_usd` is the cost of this use: zero when `cached`; `saved_usd` is then its original cost.
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
