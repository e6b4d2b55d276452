"""The vote of a model behind the gateway."""

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.core.errors import ModelRefused, ModelUnavailable, ReplyUnreadable, VoteUnavailable
from quorum.core.models import DETAIL_LIMIT, Abstention, CastVote, Tokens
from quorum.core.registry import VoteFormat
from quorum.gateway.finish import Finish
from quorum.vote import guards, reply
from quorum.vote.context import sees_context, with_context
from quorum.vote.policy import DEFAULT, MAX_OUTPUT_TOKENS, Policy

if TYPE_CHECKING:
    from quorum.core.models import Context, Reservation
    from quorum.core.normalise import Normalised
    from quorum.core.registry import Model
    from quorum.gateway.call import Completion
    from quorum.gateway.client import Gateway
    from quorum.gateway.deadline import Deadline

EXPECTED_OUTPUT_TOKENS = 60
"""Tokens of a usual vote: 35 to 60 in practice."""


class PaidVote(NamedTuple):
    """A vote with the reservation that it ends (None where no limit is shared)."""

    vote: CastVote | Abstention
    reservation: "Reservation | None" = None


async def ask(
    gateway: "Gateway",
    model: "Model",
    content: "Normalised",
    deadline: "Deadline",
    *,
    policy: Policy = DEFAULT,
    context: "Context | None" = None,
    tenant: str = "-",
) -> PaidVote:
    """`model`'s vote on `content`, told `policy`, and shown `context` if it reads one.

    Raises a `VoteUnavailable`, which carries the cost and the reservation.
    """
    seen = context if sees_context(model) else None
    completion = await answered(gateway, model, content, deadline, policy, tenant, context=seen)
    try:
        if completion.finish_reason is Finish.FAILED:
            raise ModelUnavailable("the answer broke off")
        got = read(model, completion, policy)
    except VoteUnavailable as error:
        error.tokens = completion.tokens
        error.cost_usd = completion.cost_usd
        error.cost_estimated = completion.cost_estimated
        error.served_by = completion.served_by
        error.reservation = completion.reservation
        raise
    vote = CastVote(
        voter=model.name,
        model=completion.model,
        decision=got.decision,
        confidence=got.confidence,
        confidence_stated=got.confidence_stated,
        confidence_measured=got.confidence_measured,
        scores=got.scores,
        covers=got.covers,
        reason=got.reason,
        context_seen=None if seen is None else True,
        tokens=completion.tokens,
        cost_usd=completion.cost_usd,
        cost_estimated=completion.cost_estimated,
        latency_ms=completion.latency_ms,
        served_by=completion.served_by,
    )
    return PaidVote(vote, completion.reservation)


async def answered(
    gateway: "Gateway",
    model: "Model",
    content: "Normalised",
    deadline: "Deadline",
    policy: Policy,
    tenant: str,
    *,
    context: "Context | None" = None,
) -> "Completion":
    """The answer of `model` to the question in its own form."""
    if model.vote_format is VoteFormat.JSON:
        return await gateway.complete(
            model,
            messages(content, policy, context),
            max_output_tokens=MAX_OUTPUT_TOKENS,
            expected_output_tokens=EXPECTED_OUTPUT_TOKENS,
            schema=policy.reply_schema,
            log_probabilities=True,
            deadline=deadline,
            tenant=tenant,
        )
    asked = guards.asked(model, content, policy)
    return await gateway.complete(
        model,
        asked.messages,
        max_output_tokens=asked.max_output_tokens,
        expected_output_tokens=asked.expected_output_tokens,
        extra_fields=asked.extra_fields,
        log_probabilities=True,
        deadline=deadline,
        tenant=tenant,
    )


def read(model: "Model", completion: "Completion", policy: Policy) -> reply.ReadReply:
    """The vote in an answer of `model`; raises as `quorum.vote.reply.read`."""
    came: Any = {
        "finish_reason": completion.finish_reason,
        "refusal": completion.refusal,
        "logprobs": completion.logprobs,
    }
    if model.vote_format is VoteFormat.JSON:
        return reply.read(completion.text, categories=policy.known, **came)
    return guards.read(model, completion.text, policy, **came)


def messages(
    content: "Normalised", policy: Policy = DEFAULT, context: "Context | None" = None
) -> list[dict[str, str]]:
    """The prompt; the content, and the context if there is one, between lines nobody can guess."""
    prompt = policy.prompt(content, boundary=secrets.token_hex(16))
    if context is None:
        return prompt
    return with_context(prompt, context, boundary=secrets.token_hex(16))


def abstention_of(
    voter: str, error: VoteUnavailable, latency_ms: int, *, keep_content: bool = False
) -> Abstention:
    """The abstention that `error` becomes, with its cost.

    `keep_content` adds the start of an unreadable or refusing reply: content, for debugging only.
    """
    excerpt = error.excerpt if isinstance(error, ReplyUnreadable | ModelRefused) else ""
    detail = excerpt if keep_content and excerpt else error.message
    return Abstention(
        voter=voter,
        reason=error.abstention,
        detail=reply.shorten(detail, DETAIL_LIMIT),
        retry_after_seconds=error.retry_after_seconds,
        tokens=error.tokens or Tokens(),
        cost_usd=error.cost_usd or Decimal(0),
        cost_estimated=error.cost_estimated,
        latency_ms=latency_ms,
        served_by=error.served_by,
    )
