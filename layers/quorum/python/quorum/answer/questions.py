"""Questions to a model, with everything the answer depends on, and answers. Pure."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field

from quorum.core.errors import (
    AnswerCut,
    AnswerEmpty,
    AnswerFailed,
    AnswerUnusable,
    ModelRefused,
    VoteUnavailable,
)
from quorum.core.models import Dollars, Frozen, Tokens
from quorum.gateway.finish import Finish, finish
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
    `finish_reason` is in the words of the OpenAI API where it has one (`gateway.finish`).
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

    @property
    def finish(self) -> Finish:
        """How the answer ended."""
        return finish(self.finish_reason)

    def failure(self) -> VoteUnavailable | None:
        """Why this is no whole answer, with what it cost; None for one that is."""
        why = self._why()
        if why is not None:
            why.tokens, why.cost_usd = self.tokens, self.cost_usd
            why.cost_estimated = self.cost_estimated
        return why

    def _why(self) -> VoteUnavailable | None:
        if self.refusal is not None or self.finish is Finish.FILTERED:
            return ModelRefused("the model or its safety filter would not answer")
        if self.finish is Finish.CUT:
            return AnswerCut("the answer ran into its limit of tokens")
        if self.finish is Finish.FAILED:
            return AnswerFailed("the model failed before the end of its answer")
        if self.finish is not Finish.WHOLE:
            return AnswerUnusable("the answer broke off before its end")
        return AnswerEmpty("the answer has no text") if not self.text.strip() else None
