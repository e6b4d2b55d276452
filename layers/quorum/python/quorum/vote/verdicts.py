"""Verdicts, stored once and read by their tenant only."""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import TypeAdapter

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.batch import counters
from quorum.core.errors import NotFound, StoreUnavailable
from quorum.core.identifiers import may_be_record, verdict_key
from quorum.core.models import Appeal, Content, Decision, PolicyShadow, Review, Verdict
from quorum.core.position import BatchPosition
from quorum.ledger import ledger, shards
from quorum.vote.quality_sample import QualitySample, drawn_probability
from quorum.vote.review_entries import Queued, ReviewEntries, Waiting, entry_digest
from quorum.vote.verdict_list import entry_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

TOGETHER = 20
"""Verdicts of one transaction: with review entries, contents and counters they stay under
DynamoDB's limits of 100 entries and 4 MB."""

_ROUNDS = 10
"""Tries of settling while other workers settle or dead-letter the same items."""
_VERDICT = TypeAdapter(Verdict)


class Decided(NamedTuple):
    """A verdict to be stored, with its content, and its `position` if it belongs to a batch."""

    content: Content
    verdict: Verdict
    position: BatchPosition | None = None


def verdict_of(item: "Mapping[str, Any]") -> Verdict:
    """The verdict in a table item, with its latest review and what its policy's shadow says."""
    verdict = _VERDICT.validate_json(str(item["verdict"]), extra="ignore")
    if "policy_shadow" in item:
        shadow = PolicyShadow.model_validate_json(str(item["policy_shadow"]), extra="ignore")
        verdict = verdict.model_copy(update={"policy_shadow": shadow})
    if "appeal" in item:
        appeal = Appeal.model_validate_json(str(item["appeal"]), extra="ignore")
        verdict = verdict.model_copy(update={"appeal": appeal})
    if not item.get("reviews"):
        return verdict
    return verdict.model_copy(
        update={"review": Review.model_validate_json(str(item["reviews"][-1]), extra="ignore")}
    )


class Verdicts:
    """The Verdicts table, and the counters that change with it.

    `sample_of` says how much of what a panel decides under a verdict's policy a person checks.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        review_entries: ReviewEntries,
        *,
        verdict_days: int,
        sample_of: Callable[[str, Verdict], QualitySample] | None = None,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._usage_table = usage_table
        self._review_entries = review_entries
        self._verdict_days = verdict_days
        self._sample_of = sample_of or (lambda _tenant, _verdict: QualitySample())

    def find(self, tenant: str, verdict_id: str) -> Verdict | None:
        """The verdict, or None."""
        return self.find_all([(tenant, verdict_id)]).get(verdict_id)

    def find_all(self, wanted: Sequence[tuple[str, str]]) -> dict[str, Verdict]:
        """The existing verdicts, of (tenant, id), by id; read consistently."""
        return {
            verdict_id: verdict_of(item)
            for verdict_id, item in self.entries(wanted).items()
            if "verdict" in item
        }

    def readable(self, tenant: str, ids: Sequence[str]) -> list[Verdict]:
        """The tenant's verdicts of those ids, in their order, as far as they can be read."""
        stored = self.entries([(tenant, one) for one in ids])
        items = [stored[one] for one in ids if "verdict" in stored.get(one, {})]
        return list(dynamo.readable(items, verdict_of, "id"))

    def entries(self, wanted: Sequence[tuple[str, str]]) -> dict[str, dict[str, Any]]:
        """The stored items, of (tenant, id), by id: verdicts, rejections and dead letters."""
        ids = {
            verdict_key(tenant, verdict_id): verdict_id
            for tenant, verdict_id in wanted
            if may_be_record(verdict_id)
        }
        keys = [{"id": key} for key in sorted(ids)]
        found = dynamo.read(self._client, self._table, keys, consistent=True)
        reviews = self._reviews_of({str(one["waits_with"]) for one in found if "waits_with" in one})
        return {
            ids[str(item["id"])]: item | reviews.get(str(item.get("waits_with")), {})
            for item in found
        }

    def _reviews_of(self, keys: AbstractSet[str]) -> dict[str, dict[str, Any]]:
        """The reviews on the verdicts that others wait with, as fields, by table key."""
        wanted = [{"id": key} for key in sorted(keys)]
        return {
            str(item["id"]): {"reviews": item.get("reviews", [])}
            | ({"appeal": item["appeal"]} if "appeal" in item else {})
            for item in dynamo.read(self._client, self._table, wanted, consistent=True)
        }

    def get(self, tenant: str, verdict_id: str) -> Verdict:
        """The verdict; raises `NotFound`."""
        found = self.find(tenant, verdict_id)
        if found is None:
            raise NotFound("no such verdict", code="verdict_not_found", field="id")
        return found

    def record(
        self, tenant: str, content: Content, verdict: Verdict, position: BatchPosition | None = None
    ) -> Verdict:
        """Store `verdict` and count it, in one transaction that happens once.

        If the verdict's id is settled already, nothing changes and the stored verdict is returned.
        Raises `StoreUnavailable`.
        """
        (stored,) = self.record_all(tenant, [Decided(content, verdict, position)])
        return stored

    def record_all(self, tenant: str, decided: Sequence[Decided]) -> list[Verdict]:
        """`record` for many verdicts of one tenant, with one write to each counter.

        The verdicts have different ids. Those not settled yet are settled together; each is counted
        once. Raises `StoreUnavailable`.
        """
        stored: list[Verdict] = []
        for start in range(0, len(decided), TOGETHER):
            stored += self._record_some(tenant, decided[start : start + TOGETHER])
        return stored

    def add_shadow(
        self, tenant: str, verdict: Verdict, shadow: PolicyShadow, counted: dict[str, Any]
    ) -> Verdict:
        """The verdict with what its policy's shadow says, which is stored and `counted` once.

        Raises `StoreUnavailable`.
        """
        update = {
            "TableName": self._table,
            "Key": {"id": verdict_key(tenant, verdict.id)},
            "UpdateExpression": "SET policy_shadow = :shadow",
            "ConditionExpression": "attribute_exists(id) AND attribute_not_exists(policy_shadow)",
            "ExpressionAttributeValues": {":shadow": shadow.model_dump_json()},
        }
        dynamo.write(self._client, [{"Update": update}, counted])
        return verdict.model_copy(update={"policy_shadow": shadow})

    def _record_some(self, tenant: str, decided: Sequence[Decided]) -> list[Verdict]:
        settled: dict[str, Verdict] = {}
        dead: set[str] = set()
        for _ in range(_ROUNDS):
            unsettled = [one for one in decided if one.verdict.id not in settled]
            if not unsettled:
                break
            expires_at = int(time()) + self._verdict_days * DAY
            queued = self._review_entries.queue(
                tenant, self._waiting(tenant, unsettled), expires_at
            )
            transaction = self._transaction(tenant, unsettled, queued, dead, expires_at)
            failed = dynamo.write(self._client, transaction)
            if not failed:
                break
            # First come the verdicts and the review entries; of the rest only batches have
            # conditions.
            if min(failed) >= len(unsettled) + len(queued.claims):
                raise StoreUnavailable("there is no such batch to count a verdict in")
            found = self.entries([(tenant, one.verdict.id) for one in unsettled])
            settled |= {
                verdict_id: verdict_of(item)
                for verdict_id, item in found.items()
                if "verdict" in item
            }
            dead = {name for name, item in found.items() if "dead" in item}
        else:
            raise StoreUnavailable("the items change faster than they can be settled")
        return [settled.get(one.verdict.id, one.verdict) for one in decided]

    def _waiting(self, tenant: str, decided: Sequence[Decided]) -> list[Waiting]:
        """Those that a person decides: the undecided ones, and those drawn as a quality check."""
        found: list[Waiting] = []
        for one in decided:
            if one.verdict.decision is Decision.NEEDS_REVIEW:
                found.append(Waiting(one.content, one.verdict))
                continue
            drawn = drawn_probability(one.verdict, self._sample_of(tenant, one.verdict))
            if drawn is not None:
                found.append(Waiting(one.content, one.verdict, drawn))
        return found

    def _transaction(
        self,
        tenant: str,
        decided: Sequence[Decided],
        queued: Queued,
        dead: AbstractSet[str],
        expires_at: int,
    ) -> list[dict[str, Any]]:
        transaction = [
            self._put(
                tenant,
                one,
                queued.fields.get(one.verdict.id, {}) | {"expires_at": expires_at},
                revive=one.verdict.id in dead,
            )
            for one in decided
        ]
        transaction += [*queued.claims, *queued.contents]
        verdicts = [one.verdict for one in decided]
        transaction += ledger.decided(self._usage_table, tenant, verdicts, shard=shards.chosen())
        counted: dict[counters.Counter, list[Verdict]] = {}
        for one in decided:
            if one.position is not None:
                counted.setdefault(counters.Counter.of(one.position), []).append(one.verdict)
        now = datetime.now(UTC)
        for counter, of_batch in counted.items():
            revived = sum(verdict.id in dead for verdict in of_batch)
            transaction.append(
                counters.settled(self._table, tenant, counter, of_batch, revived=revived, now=now)
            )
        return transaction

    def _put(
        self, tenant: str, decided: Decided, fields: dict[str, Any], *, revive: bool
    ) -> dict[str, Any]:
        verdict = decided.verdict
        item = {
            "id": verdict_key(tenant, verdict.id),
            "verdict": verdict.model_dump_json(),
            "decision": str(verdict.decision),
            "created_at": verdict.created_at.isoformat(),
            **entry_fields(tenant, verdict),
            # Under this a person's decision on the verdict is found for the same content.
            "entry": entry_digest(tenant, decided.content, verdict.policy_version),
            **counters.position_fields(tenant, decided.position),
            **fields,
        }
        # A dead letter may still be settled; a settled item never again.
        condition = "attribute_exists(dead)" if revive else "attribute_not_exists(id)"
        return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": condition}}
