"""One call to a model: its request, its attempts so far, and their cost."""

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING

from quorum.core.errors import PromptTooLong
from quorum.core.models import Tokens
from quorum.core.registry import Model
from quorum.gateway import tokenizer, wire
from quorum.gateway.finish import Finish
from quorum.gateway.usage import Usage
from quorum.gateway.wire import TokenLogProbability

if TYPE_CHECKING:
    from quorum.core.models import Reservation
    from quorum.gateway.deadline import Deadline

Message = Mapping[str, str]
"""`role` and `content`."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A complete answer, with its cost and timing.

    `tokens` and `cost_usd` are those of all attempts together; `cost_estimated` says that the
    gateway did not report all of them. `latency_ms` is from the call to the whole answer, waiting
    and retries included. `model` is the name that the gateway reports. `unbilled` says that the
    gateway reported no tokens at all: such an answer is not cached. `reservation` is the one that
    the ledger settles with it.
    """

    text: str
    finish_reason: Finish
    refusal: str | None
    logprobs: tuple[TokenLogProbability, ...]
    tokens: Tokens
    cost_usd: Decimal
    cost_estimated: bool
    model: str
    served_by: str
    latency_ms: int
    first_token_ms: int | None
    attempts: int
    unbilled: bool = False
    reservation: "Reservation | None" = None


@dataclass(slots=True)
class Call:
    """One call, its attempts and their cost so far.

    `prompt_tokens` is an estimate. `sent` is whether the last attempt has left for the gateway.
    `failures_counted` are the base URLs whose circuits have counted a failure of this call.
    """

    model: Model
    body: bytes
    messages: Sequence[Message]
    prompt_tokens: int
    max_output_tokens: int
    expected_output_tokens: int
    deadline: "Deadline"
    reservation: "Reservation | None" = None
    started: float = field(default_factory=time.monotonic)
    attempts: int = 0
    sent: bool = False
    failed_at: list[str] = field(default_factory=list)
    failures_counted: set[str] = field(default_factory=set)
    tokens: Tokens = field(default_factory=Tokens)
    cost_usd: Decimal = Decimal(0)
    cost_estimated: bool = False

    async def trace(self, event: str, _: object) -> None:
        """For httpx's `trace`: note that the request has left; until then it costs nothing."""
        if event.endswith(".send_request_headers.started"):
            self.sent = True

    def pay(self, tokens: Tokens, *, estimated: bool) -> None:
        """Add the cost of an attempt."""
        self.tokens += tokens
        self.cost_usd += self.model.price.cost(tokens)
        self.cost_estimated = self.cost_estimated or estimated

    def pay_for(self, text: str, usage: Usage | None) -> Tokens | None:
        """Add an answer's cost, as reported or else counted; returns its tokens if exact."""
        reported = Tokens() if usage is None else usage.tokens
        if usage is not None and reported.input and (reported.output or not text):
            self.pay(reported, estimated=not usage.exact)
            return reported if usage.exact else None
        given = 0 if reported.input else _count(self.model, tokenizer.count(self.messages))
        counted = Tokens(input=given, output=_count(self.model, tokenizer.count_text(text)))
        self.pay(reported + counted, estimated=True)
        return None

    def pay_for_part(self, body: bytes, *, answered: bool) -> None:
        """Add the cost of an incomplete answer: as it reports itself, or the most possible."""
        self.pay_unread(wire.usage_in_part(body), answered=answered)

    def pay_unread(self, usage: Usage | None, *, answered: bool) -> None:
        """Add the cost of an unreadable answer: as it reports itself, or the most possible.

        Nothing if the model never `answered`: a proxy's page and an error are free.
        """
        if usage is not None and usage.tokens.total:
            self.pay(usage.tokens, estimated=not usage.exact)
        elif answered:
            self.pay_at_most()

    def pay_at_most(self) -> None:
        """Add the most an attempt can have cost, which is never reported: budgets must hold."""
        prompt = _count(self.model, tokenizer.count(self.messages))
        self.pay(Tokens(input=prompt, output=self.max_output_tokens), estimated=True)

    def completion(
        self, served_by: str, answer: wire.Answer, first_token_at: float | None = None
    ) -> Completion:
        """The answer, with the cost and timing of the whole call."""
        first = None if first_token_at is None else round((first_token_at - self.started) * 1000)
        return Completion(
            text=answer.text,
            finish_reason=answer.finish,
            refusal=answer.refusal,
            logprobs=answer.logprobs,
            tokens=self.tokens,
            cost_usd=self.cost_usd,
            cost_estimated=self.cost_estimated,
            model=answer.model or self.model.gateway_name,
            served_by=served_by,
            latency_ms=round((time.monotonic() - self.started) * 1000),
            first_token_ms=first,
            attempts=self.attempts,
            unbilled=answer.usage is not None and not answer.usage.tokens.total,
            reservation=self.reservation,
        )


def prepared(
    model: Model,
    messages: Sequence[Message],
    options: Mapping[str, object],
    *,
    max_output_tokens: int,
    expected_output_tokens: int | None,
    deadline: "Deadline",
) -> Call:
    """The call for a prompt that fits the model; raises `PromptTooLong` for one that does not.

    Tokens are counted exactly only if the bound for any vocabulary does not settle it.
    """
    room = model.context_window - max_output_tokens
    if tokenizer.at_most(messages) > room:
        exact = _count(model, tokenizer.count(messages))
        if exact > room:
            raise PromptTooLong(
                f"the prompt's {exact} tokens and {max_output_tokens} for the answer do not fit the"
                f" context window of {model.name}, {model.context_window} tokens"
            )
    body = {
        "model": model.gateway_name,
        "messages": list(messages),
        model.max_tokens_field: max_output_tokens,
        **options,
    }
    return Call(
        model=model,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace"),
        messages=messages,
        prompt_tokens=_count(model, tokenizer.estimate(messages)),
        max_output_tokens=max_output_tokens,
        expected_output_tokens=expected_output_tokens or max_output_tokens,
        deadline=deadline,
    )


def _count(model: Model, tokens: int) -> int:
    """The number of `tokens` of our vocabulary, converted to the model's own."""
    return math.ceil(tokens * model.token_factor)
