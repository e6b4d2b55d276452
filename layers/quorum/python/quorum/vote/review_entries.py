"""Review entries: what a person is asked, or has decided, about one content under one policy.

All verdicts on a content share its entry, so the same text waits for a person once however often it
is sent, and is answered by the person's decision for `reuse_days` after that.

One verdict, the entry's, stands in the reviewers' queue, counts the verdicts that wait with it, and
has the reviews of all of them. The entry itself holds what is looked up before anybody is asked.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.index_pages import Index
from quorum.core.identifiers import content_key, review_entry_key, verdict_key
from quorum.core.models import Content, Decision, Frozen, ReusedReview, Review, Verdict
from quorum.core.normalise import NORMALISER_VERSION, normalise
from quorum.vote import quality_sample
from quorum.vote.context import digest_of
from quorum.vote.quality_sample import Sampled, sampled_with
from quorum.vote.severity import Severity, severity_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

INDEX = Index("reviews", "review")
"""What waits, labels and suggestions, each by time."""
PENDING, REVIEWED = "pending", "reviewed"
"""The states of a verdict in the reviewers' queue."""
SHARDS = 8
"""Partitions of what waits with the same severity. One takes a thousand units a second, and an
entry has three or four: a whole batch may wait at 1,500 items a second, where a gateway is away."""


class ReviewEntry(Frozen):
    """The entry of one content under one policy: the verdict that stands for all on it.

    `decision` and `reviewed_at` are those of the latest review, and None while it waits.
    `expires_at` (epoch seconds) is that of the verdict.
    """

    verdict_id: str
    decision: Decision | None = None
    reviewed_at: datetime | None = None
    expires_at: int


class Reuse(NamedTuple):
    """A person's decision that answers a content, and the review it is from."""

    decision: Decision
    review: ReusedReview


class Waiting(NamedTuple):
    """A verdict that waits for a person, with its content.

    It was drawn for the quality sample with `probability`, or the panel did not decide (None).
    """

    content: Content
    verdict: Verdict
    probability: float | None = None


class Queued(NamedTuple):
    """The writes that put verdicts into the reviewers' queue.

    `fields` are those of each verdict's own item, by its id. Each of `claims` is a conditional
    transaction item: it fails where the entry changed after it was read. `contents` keep the texts.
    """

    fields: dict[str, dict[str, Any]]
    claims: list[dict[str, Any]]
    contents: list[dict[str, Any]]


def pending_partition(tenant: str, severity: Severity, shard: int) -> str:
    """A partition of what waits, in the index `reviews`. No tenant's id can spell another one's."""
    return f"{PENDING}:{severity}:{shard}#{tenant}"


def pending_field(tenant: str, verdict: Verdict) -> str:
    """The partition in which the verdict waits."""
    shard = sha256(verdict.id.encode()).digest()[0] % SHARDS
    return pending_partition(tenant, severity_of(verdict), shard)


def entry_digest(tenant: str, content: Content, policy_version: str) -> str:
    """A digest of everything that makes two contents the same one for a reviewer."""
    parts = [tenant, policy_version, NORMALISER_VERSION, normalise(content.text).text]
    parts += [] if content.context is None else [digest_of(content.context)]
    return sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()


class ReviewEntries:
    """The review entries in the Verdicts table.

    A decision is reused for `reuse_days` (0: never); a content waits for a reviewer for
    `review_days`.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        reuse_days: int,
        review_days: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._reuse_seconds = reuse_days * DAY
        self._review_seconds = review_days * DAY
        self._clock = clock

    def read(self, wanted: Iterable[tuple[str, str]]) -> dict[str, ReviewEntry]:
        """The existing entries by digest, for pairs of tenant and digest; read consistently.

        Raises `StoreUnavailable`.
        """
        digests = {review_entry_key(tenant, digest): digest for tenant, digest in wanted}
        keys = [{"id": key} for key in sorted(digests)]
        return {
            digests[str(item["id"])]: ReviewEntry.model_validate(
                {name: item[name] for name in ReviewEntry.model_fields if name in item}
            )
            for item in dynamo.read(self._client, self._table, keys, consistent=True)
        }

    def reusable(self, wanted: Sequence[tuple[str, Content, str]]) -> list[Reuse | None]:
        """For each content, with its tenant and policy version, the decision that answers it.

        None where there is no such decision.

        Raises `StoreUnavailable`.
        """
        if not self._reuse_seconds:
            return [None] * len(wanted)
        pairs = [
            (tenant, entry_digest(tenant, content, policy_version))
            for tenant, content, policy_version in wanted
        ]
        reuses = {digest: self._reuse(entry) for digest, entry in self.read(pairs).items()}
        return [reuses.get(digest) for _, digest in pairs]

    def is_open(self, entry: ReviewEntry) -> bool:
        """Whether another verdict on the same content belongs to the entry."""
        if entry.decision is not None:
            return self._reuse(entry) is not None
        return not self._expired(entry)

    def _reuse(self, entry: ReviewEntry) -> Reuse | None:
        """The decision that answers the entry's content now."""
        if entry.decision is None or entry.reviewed_at is None or self._expired(entry):
            return None
        if self._clock() >= entry.reviewed_at.timestamp() + self._reuse_seconds:
            return None
        review = ReusedReview(verdict_id=entry.verdict_id, reviewed_at=entry.reviewed_at)
        return Reuse(entry.decision, review)

    def _expired(self, entry: ReviewEntry) -> bool:
        return entry.expires_at <= self._clock()  # DynamoDB deletes expired items after a while

    def queue(self, tenant: str, waiting: Sequence[Waiting], expires_at: int) -> Queued:
        """The writes by which `waiting` verdicts join the reviewers' queue.

        `expires_at` is that of the verdicts. The same content makes one entry. Raises
        `StoreUnavailable`.
        """
        groups: dict[str, list[Waiting]] = {}
        for one in waiting:
            digest = entry_digest(tenant, one.content, one.verdict.policy_version)
            groups.setdefault(digest, []).append(one)
        known = self.read((tenant, digest) for digest in groups)
        queued = Queued({}, [], [])
        for digest, group in groups.items():
            entry = known.get(digest)
            if entry is not None and entry.verdict_id in {one.verdict.id for one in group}:
                continue  # it is stored already, so the transaction will fail
            first, last = group[0].verdict, group[-1].verdict
            seen = {"last_seen": last.created_at.isoformat()}
            counts = {"seen": len(group)} | _sampled(group)
            if entry is None or not self.is_open(entry):
                listed = first.id
                fresh = ReviewEntry(verdict_id=listed, expires_at=expires_at)
                claim = self.claim(tenant, digest, entry, fresh)
                queued.fields[listed] = {"review": pending_field(tenant, first)} | seen | counts
            else:
                listed = entry.verdict_id
                claim = self._join(tenant, entry, seen, counts)
            waits = {"waits_with": verdict_key(tenant, listed)}
            others = [one.verdict.id for one in group if one.verdict.id != listed]
            queued.fields.update(dict.fromkeys(others, waits))
            queued.claims.append(claim)
            if entry is None or self._reuse(entry) is None:
                queued.contents.append(self._keep(tenant, listed, group[-1].content))
        return queued

    def claim(
        self, tenant: str, digest: str, known: ReviewEntry | None, entry: ReviewEntry
    ) -> dict[str, Any]:
        """The transaction item that puts `entry` in the place of `known`, as that was read."""
        values: dict[str, Any] = {"id": review_entry_key(tenant, digest)}
        values |= entry.model_dump(mode="json", exclude_none=True)
        put = {"TableName": self._table, "Item": values}
        if known is None:
            return {"Put": put | {"ConditionExpression": "attribute_not_exists(id)"}}
        # It may have been deleted since, for it may have expired.
        given = known.model_dump(
            mode="json", include={"verdict_id", "reviewed_at"}, exclude_none=True
        )
        same = [f"{name} = :{name}" for name in given]
        same += [] if "reviewed_at" in given else ["attribute_not_exists(reviewed_at)"]
        conditions = {
            "ConditionExpression": f"attribute_not_exists(id) OR ({' AND '.join(same)})",
            "ExpressionAttributeValues": {f":{name}": value for name, value in given.items()},
        }
        return {"Put": put | conditions}

    def _join(
        self, tenant: str, entry: ReviewEntry, seen: dict[str, Any], counts: dict[str, Any]
    ) -> dict[str, Any]:
        """The transaction item that counts verdicts which wait with the entry's."""
        state = PENDING if entry.decision is None else REVIEWED
        values = {f":{name}": value for name, value in (seen | counts).items()}
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"id": verdict_key(tenant, entry.verdict_id)},
                "UpdateExpression": "SET last_seen = :last_seen ADD "
                + ", ".join(f"{name} :{name}" for name in counts),
                # While an appeal waits, a content that was decided stands in the queue again.
                "ConditionExpression": "begins_with(#review, :state) OR attribute_exists(appeal)",
                "ExpressionAttributeNames": {"#review": "review"},
                "ExpressionAttributeValues": values | {":state": state},
            }
        }

    def _keep(self, tenant: str, verdict_id: str, content: Content) -> dict[str, Any]:
        """The transaction item that keeps a text, and its context, for a reviewer."""
        context = content.context
        return {
            "Put": {
                "TableName": self._table,
                "Item": {
                    "id": content_key(tenant, verdict_id),
                    "content": content.text,
                    **({} if context is None else {"context": context.model_dump_json()}),
                    "expires_at": int(self._clock()) + self._review_seconds,
                },
            }
        }

    def after(self, review: Review, verdict_id: str, expires_at: int) -> ReviewEntry:
        """The entry of that verdict after `review`; `expires_at` is the verdict's before it.

        A review of `needs_review` gives the entry back to the queue.
        """
        if review.decision is Decision.NEEDS_REVIEW:
            return ReviewEntry(verdict_id=verdict_id, expires_at=expires_at)
        reused_until = int(review.reviewed_at.timestamp()) + self._reuse_seconds
        return ReviewEntry(
            verdict_id=verdict_id,
            decision=review.decision,
            reviewed_at=review.reviewed_at,
            expires_at=max(expires_at, reused_until),
        )


def _sampled(group: Sequence[Waiting]) -> dict[str, Any]:
    """The fields that count those of the `group` which are in the quality sample."""
    found: dict[str, Any] = {}
    for decision in (Decision.SAFE, Decision.UNSAFE):
        drawn = [
            sampled_with(one.probability)
            for one in group
            if one.probability is not None and one.verdict.decision is decision
        ]
        if drawn:
            found |= quality_sample.stored(decision, sum(drawn, Sampled()))
    return found
