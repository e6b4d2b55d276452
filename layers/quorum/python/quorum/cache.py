"""Votes by content, policy and model: what was judged once is not judged again."""

from decimal import Decimal
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from quorum.models import CastVote, Frozen
from quorum.normalise import normalise
from quorum.policy import POLICY_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

DAY = 86_400
"""Seconds."""

_BATCH_GET_LIMIT = 100
_VOTE = TypeAdapter(CastVote)


class VoteKey(Frozen):
    """What makes two votes the same vote. `tenant` is empty where votes are shared."""

    tenant: str
    voter: str
    policy_version: str
    text: str
    sampling: str = "temperature=0"

    def digest(self) -> str:
        """The Votes table's key: sha256 over every part, lengths included."""
        parts = (self.tenant, self.voter, self.policy_version, self.text, self.sampling)
        return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


class VoteCache:
    """The Votes table: a vote key holds one cast vote until its time is over.

    Abstentions are never cached: the next time the vote may be had.
    """

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, *, shared: bool, days: int
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._shared = shared
        self._days = days

    def key(self, tenant: str, voter: str, text: str) -> str:
        """The digest under which `voter`'s vote on `text` is kept for `tenant`."""
        return VoteKey(
            tenant="" if self._shared else tenant,
            voter=voter,
            policy_version=POLICY_VERSION,
            text=normalise(text).text,
        ).digest()

    def find(self, tenant: str, voters: "Iterable[str]", text: str) -> list[CastVote]:
        """The cached votes of `voters` on `text`: free, and marked so."""
        keys = [{"vote_key": self.key(tenant, voter, text)} for voter in voters]
        found: list[CastVote] = []
        for start in range(0, len(keys), _BATCH_GET_LIMIT):
            pending: Any = {self._table: {"Keys": keys[start : start + _BATCH_GET_LIMIT]}}
            while pending:
                answer = self._dynamodb.batch_get_item(RequestItems=pending)
                found.extend(
                    _reused(_VOTE.validate_json(str(item["vote"])))
                    for item in answer["Responses"].get(self._table, [])
                    # DynamoDB deletes what has expired when it gets round to it.
                    if int(str(item["expires_at"])) > time()
                )
                pending = answer.get("UnprocessedKeys")
        return found

    def put(self, key: str, vote: CastVote) -> dict[str, Any]:
        """The transaction item that keeps `vote` under `key`."""
        return {
            "Put": {
                "TableName": self._table,
                "Item": {
                    "vote_key": key,
                    "vote": vote.model_dump_json(),
                    "expires_at": int(time()) + self._days * DAY,
                },
            }
        }


def _reused(vote: CastVote) -> CastVote:
    return vote.model_copy(
        update={
            "cached": True,
            "saved_usd": vote.cost_usd,
            "cost_usd": Decimal(0),
            "latency_ms": 0,
        }
    )
