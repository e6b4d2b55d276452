"""One voter's part in a case: the cached vote, or ask, and book what it cost.

The vote, its cost in the ledger and the end of its reservation are one transaction.
"""

from collections.abc import Callable
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from quorum import dynamo, loop, telemetry
from quorum.errors import StoreUnavailable, VoteUnavailable
from quorum.gateway.deadline import Deadline
from quorum.models import Abstention, CastVote
from quorum.money import ledger
from quorum.vote import voter
from quorum.vote.cache import VoteCache
from quorum.vote.normalise import normalise
from quorum.vote.voter import Ballot

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.gateway.client import Gateway
    from quorum.gateway.limiter import Limiter
    from quorum.registry import Model
    from quorum.settings import BooksSettings
    from quorum.vote.case import Case


class Ballots:
    """The voters' side of the books: the Votes table and the ledger."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        settings: "BooksSettings",
        limiter: "Limiter | None" = None,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._usage_table = settings.usage_table
        self._limiter = limiter
        self.cache = VoteCache(
            dynamodb, settings.votes_table, shared=settings.share_votes, days=settings.vote_days
        )

    def book(self, case: "Case", answer: Ballot) -> None:
        """Keep the vote, book its cost and end its reservation, all at once and once only.

        Raises `StoreUnavailable`; then the reservation's intent stays, and says what may be owed.
        """
        transaction = self._transaction(case, answer)
        if not transaction:
            return
        try:
            dynamo.write(self._client, transaction)
        except (ClientError, BotoCoreError) as error:
            if "ConditionalCheckFailed" not in dynamo.codes(error):
                raise StoreUnavailable("the vote could not be booked") from error
            # The intent is gone: an earlier try was booked although its answer was lost.

    def _transaction(self, case: "Case", answer: Ballot) -> list[dict[str, Any]]:
        transaction: list[dict[str, Any]] = []
        vote = answer.vote
        if answer.reservation is not None and self._limiter is not None:
            transaction += self._limiter.settlement(answer.reservation, vote.tokens)
            transaction.append(
                ledger.paid(self._usage_table, case.tenant, vote.voter, vote, day=ledger.today())
            )
            if case.place is not None:
                transaction.append(
                    ledger.paid_in_batch(self._usage_table, case.tenant, case.place.batch, vote)
                )
        if isinstance(vote, CastVote) or vote.repeatable:
            key = self.cache.key(case.tenant, vote.voter, case.content)
            transaction.append(self.cache.put(key, vote, bought_for=case.verdict_id))
        return transaction


def vote(
    case: "Case", name: str, ballots: Ballots, ask: Callable[[], Ballot]
) -> CastVote | Abstention:
    """The vote of the voter called `name` on the case: from the cache, or by asking."""
    for cached in ballots.cache.find(case.tenant, [name], case.content, case.verdict_id):
        return cached
    answer = ask()
    ballots.book(case, answer)
    telemetry.vote_answered(case.verdict_id, answer.vote)
    return answer.vote


def ask_embedded(
    case: "Case", ask: "Callable[[Any], CastVote | Abstention]"
) -> Callable[[], Ballot]:
    """How an embedded voter is asked: in this process, for nothing."""

    def asked() -> Ballot:
        started = perf_counter()
        answered = ask(case.content)
        latency_ms = round((perf_counter() - started) * 1000)
        return Ballot(answered.model_copy(update={"latency_ms": latency_ms}))

    return asked


def ask_gateway(
    case: "Case", model: "Model", gateway: "Gateway", remaining_milliseconds: int
) -> Callable[[], Ballot]:
    """How a gateway voter is asked: until the Lambda's or the case's time is over.

    What a gateway cannot or will not answer becomes an abstention that says why.
    """

    def asked() -> Ballot:
        deadline = Deadline.of_lambda(remaining_milliseconds, case.deadline - time())
        started = perf_counter()
        try:
            return loop.run(
                voter.ask(
                    gateway, model, normalise(case.content.text), deadline, tenant=case.tenant
                )
            )
        except VoteUnavailable as error:
            latency_ms = round((perf_counter() - started) * 1000)
            return Ballot(voter.abstention_of(model.name, error, latency_ms), error.reservation)

    return asked
