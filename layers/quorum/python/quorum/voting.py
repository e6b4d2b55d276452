"""One voter's part in a case: the cached vote, or ask, and book what it cost.

The vote, its cost in the ledger and the end of its reservation are one transaction.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quorum import ledger, telemetry
from quorum.cache import VoteCache
from quorum.case import Case
from quorum.errors import StoreUnavailable
from quorum.models import Abstention, CastVote, Content
from quorum.settings import BooksSettings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource


class Ballots:
    """The voters' side of the books: the Votes table and the ledger."""

    def __init__(self, dynamodb: "DynamoDBServiceResource", settings: BooksSettings) -> None:
        self._dynamodb = dynamodb
        self._usage_table = settings.usage_table
        self.cache = VoteCache(
            dynamodb, settings.votes_table, shared=settings.share_votes, days=settings.vote_days
        )

    def book(
        self,
        case: Case,
        vote: CastVote | Abstention,
        ending: Sequence[dict[str, Any]] = (),
        *,
        paid: bool,
    ) -> None:
        """Keep `vote`, book its cost if it was `paid` for, and end its reservation, all at once."""
        transaction: list[Any] = list(ending)
        if isinstance(vote, CastVote):
            key = self.cache.key(case.tenant, vote.voter, case.content.text)
            transaction.append(self.cache.put(key, vote))
        if paid:
            transaction.append(
                ledger.paid(self._usage_table, case.tenant, vote, day=ledger.today())
            )
        if not transaction:
            return
        try:
            self._dynamodb.meta.client.transact_write_items(TransactItems=transaction)
        except ClientError as error:
            raise StoreUnavailable("the vote could not be booked") from error


def vote(
    case: Case,
    voter: str,
    ballots: Ballots,
    ask: Callable[[Content], CastVote | Abstention],
) -> CastVote | Abstention:
    """`voter`'s vote on the case: from the cache, or by asking.

    `ask` books what it paid for itself; what costs nothing is booked here.
    """
    for cached in ballots.cache.find(case.tenant, [voter], case.content.text):
        return cached
    started = perf_counter()
    answer = ask(case.content)
    answer = answer.model_copy(
        update={"latency_ms": answer.latency_ms or round((perf_counter() - started) * 1000)}
    )
    ballots.book(case, answer, paid=False)
    telemetry.vote_answered(case.verdict_id, answer)
    return answer
