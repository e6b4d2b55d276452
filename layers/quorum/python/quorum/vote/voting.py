"""One voter's part in an evaluation: the cached vote, or a new one and its booking.

The vote, its cost in the ledger and the end of its reservation are one transaction.
"""

from collections.abc import Callable, Sequence
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo, loop
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import StoreUnavailable, VoteUnavailable
from quorum.core.models import Abstention, CastVote
from quorum.core.normalise import normalise
from quorum.gateway.deadline import Deadline
from quorum.ledger import ledger, shards
from quorum.ledger.telemetry import cost_booked
from quorum.vote import telemetry, voter
from quorum.vote.cache import VoteCache
from quorum.vote.policy import Policy
from quorum.vote.voter import PaidVote

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.core.models import Content, Reservation
    from quorum.core.registry import Model
    from quorum.gateway.client import Gateway
    from quorum.gateway.limiter import Limiter
    from quorum.vote.evaluation import Evaluation


TOGETHER = 50
"""Votes of one transaction: DynamoDB takes 100 entries and 4 MB, and a vote has a few KB."""


class VoteStore:
    """Stores votes and books their costs, in the Votes table and the ledger.

    Votes are cached for `vote_days`, and shared between tenants only if `share_votes`.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        votes_table: str,
        usage_table: str,
        *,
        share_votes: bool = False,
        vote_days: int = 30,
        limiter: "Limiter | None" = None,
        model_of: Callable[[str], registry.Model] = registry.model,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._usage_table = usage_table
        self._limiter = limiter
        self.cache = VoteCache(
            dynamodb, votes_table, shared=share_votes, days=vote_days, model_of=model_of
        )

    def book(self, evaluation: "Evaluation", policy: Policy, answer: PaidVote) -> None:
        """Cache the vote if it may be kept, book its cost and end its reservation, at once.

        Raises `StoreUnavailable`; the intent then stays, as a cost that was possibly paid.
        """
        transaction = self._transaction(evaluation, policy, answer)
        if not transaction:
            return
        # If the intent is gone, an earlier try was booked although its answer was lost.
        dynamo.write(self._client, transaction)
        self._booked(answer.vote, answer.reservation)

    def book_all(self, answers: Sequence[tuple["Evaluation", Policy, PaidVote]]) -> None:
        """Cache votes that cost nothing, in few transactions. Raises `StoreUnavailable`."""
        # Equal contents have one vote, and a transaction takes each key once.
        entries: dict[str, dict[str, Any]] = {}
        for evaluation, policy, answer in answers:
            for entry in self._transaction(evaluation, policy, answer):
                entries[entry["Update"]["Key"]["vote_key"]] = entry
        several = list(entries.values())
        for start in range(0, len(several), TOGETHER):
            dynamo.write(self._client, several[start : start + TOGETHER])

    def book_pack(
        self,
        first: "Evaluation",
        policy: Policy,
        voter: str,
        spent: "ledger.Spending",
        reservation: "Reservation | None",
        votes: "Sequence[tuple[Evaluation, CastVote]]",
    ) -> None:
        """Book the call of a pack once, for the tenant and batch of `first`, and cache its votes.

        Raises `StoreUnavailable`; the intent then stays, as a cost that was possibly paid.
        """
        transaction = self._booking(first, voter, spent, reservation)
        for evaluation, vote in votes:
            if evaluation.keeps_votes:
                key = self.cache.key(
                    evaluation.tenant, voter, evaluation.content, policy, packed=True
                )
                transaction.append(self.cache.put(key, vote, bought_for=evaluation.verdict_id))
        if not transaction:
            return
        dynamo.write(self._client, transaction)
        self._booked(spent, reservation)

    def _booked(self, spent: "ledger.Spending", reservation: "Reservation | None") -> None:
        if reservation is not None:
            cost_booked(spent)
            if self._limiter is not None:
                self._limiter.settled(reservation, spent.tokens)

    def _booking(
        self,
        evaluation: "Evaluation",
        voter: str,
        spent: "ledger.Spending",
        reservation: "Reservation | None",
    ) -> list[dict[str, Any]]:
        """The writes that book a call and end its reservation; none where no limit is shared."""
        if reservation is None or self._limiter is None:
            return []
        shard = shards.chosen()
        of_tenant = ledger.paid(
            self._usage_table, evaluation.tenant, voter, spent, day=ledger.today(), shard=shard
        )
        booking = [*self._limiter.settlement(reservation, spent.tokens), *of_tenant]
        if evaluation.position is not None:
            batch = evaluation.position.batch
            booking.append(
                ledger.paid_in_batch(
                    self._usage_table, evaluation.tenant, batch, spent, shard=shard
                )
            )
        return booking

    def _transaction(
        self, evaluation: "Evaluation", policy: Policy, answer: PaidVote
    ) -> list[dict[str, Any]]:
        vote = answer.vote
        transaction = self._booking(evaluation, vote.voter, vote, answer.reservation)
        if evaluation.keeps_votes and (isinstance(vote, CastVote) or vote.repeatable):
            key = self.cache.key(evaluation.tenant, vote.voter, evaluation.content, policy)
            transaction.append(self.cache.put(key, vote, bought_for=evaluation.verdict_id))
        return transaction


def vote(
    evaluation: "Evaluation",
    policy: Policy,
    name: str,
    store: VoteStore,
    ask: Callable[[], PaidVote],
) -> CastVote | Abstention:
    """The vote of the voter called `name`: from the cache, or by asking."""
    for cached in store.cache.find(
        evaluation.tenant, [name], evaluation.content, policy, evaluation.verdict_id
    ):
        return cached
    answer = ask()
    store.book(evaluation, policy, answer)
    telemetry.vote_answered(evaluation.verdict_id, answer.vote)
    return answer.vote


def vote_on_all(
    evaluations: "Sequence[Evaluation]",
    policy_of: "Callable[[Evaluation], Policy]",
    store: VoteStore,
    ask: "Callable[[Evaluation, Policy], PaidVote]",
) -> list[CastVote | Abstention]:
    """The votes of an embedded voter on several contents, in order. No cached vote is looked up."""
    answers = [
        (evaluation, policy, ask(evaluation, policy))
        for evaluation, policy in ((one, policy_of(one)) for one in evaluations)
    ]
    store.book_all(answers)
    for evaluation, _, answer in answers:
        telemetry.vote_answered(evaluation.verdict_id, answer.vote)
    return [answer.vote for _, _, answer in answers]


def with_stored_votes(
    evaluation: "Evaluation",
    votes: "Sequence[CastVote | Abstention]",
    policy: Policy,
    cache: VoteCache,
) -> list[CastVote | Abstention]:
    """`votes`, in which a vote that was stored takes the place of its voter's lost answer.

    A voter's function may end after it stored and booked a vote and before it answered: the state
    machine then puts an abstention in its place. Without this the verdict would lack a vote that
    was paid for. If the store cannot be read, the abstention stays. A voter that also has a vote
    gets no second one, whose cost would count again.
    """
    heard = {vote.voter for vote in votes if isinstance(vote, CastVote)}
    lost = {vote.voter for vote in votes if _may_be_stored(vote)} - heard
    if not lost or not evaluation.keeps_votes:
        return list(votes)
    try:
        found = cache.find(
            evaluation.tenant, lost, evaluation.content, policy, evaluation.verdict_id
        )
    except StoreUnavailable:
        return list(votes)
    stored = {vote.voter: vote for vote in found}
    return [stored.pop(vote.voter, vote) if _may_be_stored(vote) else vote for vote in votes]


def _may_be_stored(vote: CastVote | Abstention) -> bool:
    """Whether the answer may have been lost: an abstention that says what it cost was none."""
    lost = (AbstentionReason.FAILED, AbstentionReason.TIMED_OUT)
    return isinstance(vote, Abstention) and vote.reason in lost and not vote.cost_usd


def vanished(name: str) -> Abstention:
    """The abstention of a model that is on a panel, and that was deleted in the meantime."""
    return Abstention(
        voter=name,
        reason=AbstentionReason.MODEL_UNKNOWN,
        detail="there is no model of this name in force",
    )


def ask_embedded(
    content: "Content", ask: "Callable[[Any], CastVote | Abstention]"
) -> Callable[[], PaidVote]:
    """A function that asks an embedded voter about `content` in this process, without cost."""

    def asked() -> PaidVote:
        started = perf_counter()
        answered = ask(content)
        latency_ms = round((perf_counter() - started) * 1000)
        return PaidVote(answered.model_copy(update={"latency_ms": latency_ms}))

    return asked


def ask_gateway(
    evaluation: "Evaluation",
    policy: Policy,
    model: "Model",
    gateway: "Callable[[], Gateway]",
    remaining_milliseconds: int,
) -> Callable[[], PaidVote]:
    """A function that asks a gateway voter, until the Lambda's or the evaluation's deadline.

    `gateway` opens the client, which a cached vote does not need. Every failure becomes an
    abstention with its reason.
    """

    def asked() -> PaidVote:
        deadline = Deadline.of_lambda(remaining_milliseconds, evaluation.deadline - time())
        started = perf_counter()
        try:
            return loop.run(
                voter.ask(
                    gateway(),
                    model,
                    normalise(evaluation.content.text),
                    deadline,
                    policy=policy,
                    context=evaluation.content.context,
                    tenant=evaluation.tenant,
                )
            )
        except VoteUnavailable as error:
            latency_ms = round((perf_counter() - started) * 1000)
            return PaidVote(voter.abstention_of(model.name, error, latency_ms), error.reservation)

    return asked
