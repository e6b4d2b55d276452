"""The votes of one model on a pack of contents (`quorum.vote.packing`), bought by one call.

The call is booked once, as it was paid; its cost is divided among the votes that were read, so that
the verdicts' costs add up to it. All of it is one transaction. Nothing else of a pack is kept: what
has no vote is asked about again, alone.
"""

from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from quorum.aws import loop
from quorum.core.errors import VoteUnavailable
from quorum.core.normalise import normalise
from quorum.core.registry import VoteFormat
from quorum.gateway.deadline import Deadline
from quorum.vote import telemetry
from quorum.vote.cache import Wanted
from quorum.vote.evaluation import VotesRequest
from quorum.vote.packed_voter import ask_packed
from quorum.vote.voter import abstention_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from quorum.core.models import Abstention, CastVote
    from quorum.core.registry import Model
    from quorum.gateway.client import Gateway
    from quorum.vote.evaluation import Evaluation
    from quorum.vote.policy import Policy
    from quorum.vote.voting import VoteStore


def answer(
    event: dict[str, Any],
    policy_of: "Callable[[str, str], Policy]",
    model: "Model",
    store: "VoteStore",
    gateway: "Callable[[], Gateway]",
    remaining_milliseconds: int,
) -> list[dict[str, Any] | None]:
    """The votes on the contents of `event` as JSON, in order; None where there is none."""
    evaluations = VotesRequest.model_validate(event, extra="ignore").evaluations
    policy = policy_of(evaluations[0].tenant, evaluations[0].policy)
    votes = vote_on_pack(evaluations, policy, model, store, gateway, remaining_milliseconds)
    return [None if vote is None else vote.model_dump(mode="json") for vote in votes]


def vote_on_pack(
    evaluations: "Sequence[Evaluation]",
    policy: "Policy",
    model: "Model",
    store: "VoteStore",
    gateway: "Callable[[], Gateway]",
    remaining_milliseconds: int,
) -> "list[CastVote | Abstention | None]":
    """`model`'s vote on each content, in order; None where it is to be asked alone.

    The evaluations are of one tenant, policy and batch, and their contents differ. Cached votes are
    not bought again. Raises `StoreUnavailable`; the intent then stays, as a cost that was possibly
    paid.
    """
    cached = store.cache.find_all(
        [
            Wanted(one.tenant, (model.name,), one.content, one.verdict_id, policy, packed=True)
            for one in evaluations
        ]
    )
    found: list[CastVote | Abstention | None] = [votes[0] if votes else None for votes in cached]
    left = [index for index, vote in enumerate(found) if vote is None]
    # A guard has a form of its own for one content; one content alone is no pack.
    if len(left) <= 1 or model.vote_format is not VoteFormat.JSON:
        return found
    asked = [evaluations[index] for index in left]
    deadline = Deadline.of_lambda(
        remaining_milliseconds, min(one.deadline for one in asked) - time()
    )
    started = perf_counter()
    try:
        bought = loop.run(
            ask_packed(
                gateway(),
                model,
                [normalise(one.content.text) for one in asked],
                deadline,
                policy=policy,
                tenant=asked[0].tenant,
            )
        )
    except VoteUnavailable as error:
        lost = abstention_of(model.name, error, round((perf_counter() - started) * 1000))
        store.book_pack(asked[0], policy, model.name, lost, error.reservation, [])
        telemetry.pack_answered(model.name, asked=len(asked), read=0)
        return found
    votes = [(one, vote) for one, vote in zip(asked, bought.votes, strict=True) if vote is not None]
    spent = bought.completion
    store.book_pack(asked[0], policy, model.name, spent, spent.reservation, votes)
    telemetry.pack_answered(model.name, asked=len(asked), read=len(votes))
    for one, vote in votes:
        telemetry.vote_answered(one.verdict_id, vote)
    for index, vote_or_none in zip(left, bought.votes, strict=True):
        found[index] = vote_or_none
    return found
