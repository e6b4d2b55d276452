"""The cache of votes, by content, policy and model."""

from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.core.models import VOTE, Abstention, CastVote, Content, Frozen
from quorum.core.normalise import NORMALISER_VERSION, normalise
from quorum.vote import guards, packing
from quorum.vote.context import digest_of, sees_context
from quorum.vote.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource


class VoteKey(Frozen):
    """Everything a vote depends on.

    `tenant` is empty where votes are shared, `context` where the voter was shown none.
    """

    tenant: str
    voter: str
    revision: str
    policy_version: str
    normaliser_version: str
    text: str
    sampling: str
    context: str = ""

    def digest(self) -> str:
        """The Votes table's key: sha256 over every part, lengths included."""
        parts = self.model_dump(exclude_defaults=True).values()
        return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


class Wanted(NamedTuple):
    """A look-up of cached votes; `verdict_id` is the verdict that they are looked up for.

    If `packed`, votes that were asked for in a pack answer it as well.
    """

    tenant: str
    voters: tuple[str, ...]
    content: Content
    verdict_id: str | None
    policy: Policy
    packed: bool = False


class VoteCache:
    """The Votes table: one vote per vote key, until it expires.

    An abstention is cached only if the voter would abstain again. `model_of` finds a voter's model,
    and raises `ModelUnknown` for one that is gone. A `consistent` cache finds a vote that was
    stored a moment ago, and one that is asked `once` gives up where others try again.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        shared: bool,
        days: int,
        model_of: Callable[[str], registry.Model] = registry.model,
        consistent: bool = False,
        once: bool = False,
    ) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._shared = shared
        self._days = days
        self.model_of = model_of
        self._consistent = consistent
        self._trying_seconds = 0.0 if once else dynamo.TRYING_SECONDS

    def key(
        self, tenant: str, voter: str, content: Content, policy: Policy, *, packed: bool = False
    ) -> str:
        """The digest under which `voter`'s vote on `content` is cached for `tenant`.

        Policies that send voters the same share votes, however they count them. A vote that was
        asked for in a pack was asked for otherwise, and has a key of its own.
        """
        model = self.model_of(voter)
        if model.kind == "embedded":
            policy_version = policy.embedded_version
        else:
            policy_version = packing.version(policy) if packed else policy.asked_version
        return VoteKey(
            tenant="" if self._shared else tenant,
            voter=voter,
            revision=model.revision,
            policy_version=policy_version,
            normaliser_version=NORMALISER_VERSION,
            text=normalise(content.text).text,
            # An embedded voter depends on the text and the language only.
            sampling=f"language={content.language},default={content.default_language}"
            if model.kind == "embedded"
            else _asked_for(model),
            context=digest_of(content.context) if sees_context(model) else "",
        ).digest()

    def find(
        self,
        tenant: str,
        voters: "Iterable[str]",
        content: Content,
        policy: Policy,
        verdict_id: str | None = None,
    ) -> list[CastVote | Abstention]:
        """The cached votes of `voters` on `content`, marked `cached` and without cost.

        A vote that was bought for this same verdict keeps its cost and is no saving, so that an
        evaluation repeated after a crash costs the same.
        """
        (found,) = self.find_all([Wanted(tenant, tuple(voters), content, verdict_id, policy)])
        return found

    def find_all(self, wanted: "Sequence[Wanted]") -> list[list[CastVote | Abstention]]:
        """`find` for many contents, in their order."""
        keys = [[self._keys_if_known(one, voter) for voter in one.voters] for one in wanted]
        stored = self._stored({key for of_one in keys for of_voter in of_one for key in of_voter})
        there = [
            [next((key for key in of_voter if key in stored), None) for of_voter in of_one]
            for of_one in keys
        ]
        return [
            [_as_found(stored[key], one.verdict_id) for key in of_one if key is not None]
            for one, of_one in zip(wanted, there, strict=True)
        ]

    def _keys_if_known(self, wanted: Wanted, voter: str) -> list[str]:
        """The keys of a vote, the better one first; none of a model that is gone."""
        forms = (False, True) if wanted.packed else (False,)
        try:
            keys = [
                self.key(wanted.tenant, voter, wanted.content, wanted.policy, packed=packed)
                for packed in forms
            ]
        except ModelUnknown:
            return []
        return list(dict.fromkeys(keys))  # an embedded voter has one

    def _stored(self, keys: "Iterable[str]") -> dict[str, dict[str, Any]]:
        wanted = [{"vote_key": key} for key in sorted(keys)]
        return {
            str(item["vote_key"]): item
            for item in dynamo.read(
                self._dynamodb.meta.client,
                self._table,
                wanted,
                consistent=self._consistent,
                seconds=self._trying_seconds,
            )
            # DynamoDB deletes expired items only after a while.
            if int(str(item["expires_at"])) > time()
        }

    def put(
        self, key: str, vote: CastVote | Abstention, bought_for: str | None = None
    ) -> dict[str, Any]:
        """The transaction item that caches `vote` under `key`; `bought_for` is a verdict's id.

        Two evaluations of the same text may buy the vote at the same time. The later vote is the
        one cached, and what each of them paid stays written down.
        """
        update, names = "SET vote = :vote, expires_at = :expires_at", {}
        values: dict[str, Any] = {
            ":vote": vote.model_dump_json(),
            ":expires_at": int(time()) + self._days * DAY,
        }
        if bought_for is not None:
            update += ", #paid = :paid"
            names = {"#paid": _paid_by(bought_for)}
            values[":paid"] = str(vote.cost_usd)
        item: dict[str, Any] = {
            "TableName": self._table,
            "Key": {"vote_key": key},
            "UpdateExpression": update,
            "ExpressionAttributeValues": values,
        }
        return {"Update": item | ({"ExpressionAttributeNames": names} if names else {})}


def _asked_for(model: registry.Model) -> str:
    """The parts of a request to `model` besides its messages and its schema."""
    fields = {"gateway_name", "reply_format", "reasoning_off", "gives_log_probabilities"}
    asked = f"temperature=0,{model.model_dump_json(include=fields)}"
    if model.vote_format is registry.VoteFormat.JSON:
        return asked
    of_guards = {"vote_format", "category_codes"}
    return f"{asked},{model.model_dump_json(include=of_guards)},{guards.VERSION}"


def _as_found(item: "Mapping[str, Any]", verdict_id: str | None) -> CastVote | Abstention:
    vote = VOTE.validate_json(str(item["vote"]), extra="ignore")
    paid = None if verdict_id is None else item.get(_paid_by(verdict_id))
    return _reused(vote) if paid is None else vote.model_copy(update={"cost_usd": Decimal(paid)})


def _paid_by(verdict_id: str) -> str:
    """The attribute that says what a verdict paid for the vote."""
    return f"paid_by#{verdict_id}"


def _reused(vote: CastVote | Abstention) -> CastVote | Abstention:
    free = {"cached": True, "cost_usd": Decimal(0), "latency_ms": 0}
    if isinstance(vote, CastVote):
        free["saved_usd"] = vote.cost_usd
    return vote.model_copy(update=free)
