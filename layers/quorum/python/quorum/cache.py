"""Votes by content, policy and model: what was judged once is not judged again."""

from decimal import Decimal
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any

from quorum import registry
from quorum.models import VOTE, Abstention, CastVote, Content, Frozen
from quorum.normalise import normalise
from quorum.policy import POLICY_VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

DAY = 86_400
"""Seconds."""

_BATCH_GET_LIMIT = 100


class VoteKey(Frozen):
    """What makes two votes the same vote. `tenant` is empty where votes are shared."""

    tenant: str
    voter: str
    revision: str
    policy_version: str
    text: str
    sampling: str

    def digest(self) -> str:
        """The Votes table's key: sha256 over every part, lengths included."""
        parts = self.model_dump().values()
        return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


class VoteCache:
    """The Votes table: a vote key holds one vote until its time is over.

    Abstentions are kept only where the voter would abstain again: else the vote may be had next
    time.
    """

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, *, shared: bool, days: int
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._shared = shared
        self._days = days

    def key(self, tenant: str, voter: str, content: Content) -> str:
        """The digest under which `voter`'s vote on `content` is kept for `tenant`."""
        model = registry.model(voter)
        return VoteKey(
            tenant="" if self._shared else tenant,
            voter=voter,
            revision=model.revision,
            policy_version=POLICY_VERSION,
            text=normalise(content.text).text,
            # An embedded voter is told the language and nothing else.
            sampling=f"language={content.language}"
            if model.kind == "embedded"
            else "temperature=0",
        ).digest()

    def find(
        self, tenant: str, voters: "Iterable[str]", content: Content
    ) -> list[CastVote | Abstention]:
        """The cached votes of `voters` on `content`: free, and marked so."""
        keys = [{"vote_key": self.key(tenant, voter, content)} for voter in voters]
        found: list[CastVote | Abstention] = []
        for start in range(0, len(keys), _BATCH_GET_LIMIT):
            pending: Any = {self._table: {"Keys": keys[start : start + _BATCH_GET_LIMIT]}}
            while pending:
                answer = self._dynamodb.batch_get_item(RequestItems=pending)
                found.extend(
                    _reused(VOTE.validate_json(str(item["vote"])))
                    for item in answer["Responses"].get(self._table, [])
                    # DynamoDB deletes what has expired when it gets round to it.
                    if int(str(item["expires_at"])) > time()
                )
                pending = answer.get("UnprocessedKeys")
        return found

    def put(self, key: str, vote: CastVote | Abstention) -> dict[str, Any]:
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


def _reused(vote: CastVote | Abstention) -> CastVote | Abstention:
    free = {"cached": True, "cost_usd": Decimal(0), "latency_ms": 0}
    if isinstance(vote, CastVote):
        free["saved_usd"] = vote.cost_usd
    return vote.model_copy(update=free)
