"""One model's votes on a pack of contents, by one call: the prompt, the answer, and its parts."""

import secrets
from typing import TYPE_CHECKING, NamedTuple

from quorum.core.errors import ModelUnavailable, VoteUnavailable
from quorum.core.models import CastVote
from quorum.gateway.finish import Finish
from quorum.vote import packing
from quorum.vote.policy import MAX_OUTPUT_TOKENS
from quorum.vote.voter import EXPECTED_OUTPUT_TOKENS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorum.core.normalise import Normalised
    from quorum.core.registry import Model
    from quorum.gateway.call import Completion
    from quorum.gateway.client import Gateway
    from quorum.gateway.deadline import Deadline
    from quorum.vote.policy import Policy


class PackedAnswer(NamedTuple):
    """A call for a pack, and the vote on each content in order; None where none was read."""

    completion: "Completion"
    votes: "list[CastVote | None]"


async def ask_packed(
    gateway: "Gateway",
    model: "Model",
    contents: "Sequence[Normalised]",
    deadline: "Deadline",
    *,
    policy: "Policy",
    tenant: str = "-",
) -> PackedAnswer:
    """`model`'s votes on `contents` by one call. Raises a `VoteUnavailable` with its cost."""
    markers = markers_of(len(contents))
    completion = await gateway.complete(
        model,
        packing.prompt(policy, contents, markers),
        max_output_tokens=MAX_OUTPUT_TOKENS * len(contents),
        expected_output_tokens=EXPECTED_OUTPUT_TOKENS * len(contents),
        schema=packing.reply_schema(policy),
        deadline=deadline,
        tenant=tenant,
    )
    try:
        if completion.finish_reason is Finish.FAILED:
            raise ModelUnavailable("the answer broke off")
        got = packing.read(
            completion.text,
            markers,
            finish_reason=completion.finish_reason,
            refusal=completion.refusal,
            categories=policy.known,
        )
    except VoteUnavailable as error:
        error.tokens = completion.tokens
        error.cost_usd = completion.cost_usd
        error.cost_estimated = completion.cost_estimated
        error.served_by = completion.served_by
        error.reservation = completion.reservation
        raise
    read = [index for index, one in enumerate(got) if one is not None]
    weights = packing.weights_of(policy, contents)
    of_read = [weights[index] for index in read]
    parts = {
        index: (tokens, cost)
        for index, tokens, cost in zip(
            read,
            packing.token_shares(completion.tokens, of_read),
            packing.cost_shares(completion.cost_usd, of_read),
            strict=True,
        )
    }
    votes = [
        None
        if one is None
        else CastVote(
            voter=model.name,
            model=completion.model,
            decision=one.decision,
            confidence=one.confidence,
            confidence_stated=one.confidence_stated,
            scores=one.scores,
            reason=one.reason,
            packed=len(contents),
            tokens=parts[index][0],
            cost_usd=parts[index][1],
            cost_estimated=completion.cost_estimated,
            latency_ms=completion.latency_ms,
            served_by=completion.served_by,
        )
        for index, one in enumerate(got)
    ]
    return PackedAnswer(completion, votes)


def markers_of(number: int) -> list[str]:
    """As many markers that nobody can guess, all different."""
    markers: dict[str, None] = {}
    while len(markers) < number:
        markers[secrets.token_hex(packing.MARKER_BYTES)] = None
    return list(markers)
