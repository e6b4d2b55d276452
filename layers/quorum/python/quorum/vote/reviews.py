"""Reviews: people's decisions on verdicts. Each becomes a label for calibration.

A verdict may be reviewed again: the latest review counts and the earlier ones stay, so a mistake
can be corrected and no decision is lost. A review decides for every verdict that shares its entry
(`quorum.vote.review_entries`): it is stored with the one that stands in the queue for all. The
content that was kept for the reviewer is kept for `label_days` more, because a label without its
text teaches fewer voters; then it expires.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from quorum.audit.chain import Action, Change, Fact
from quorum.audit.trail import AuditTrail
from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable
from quorum.aws.index_pages import read_page
from quorum.core.errors import Conflict, NotFound, StoreUnavailable
from quorum.core.identifiers import content_key, may_be_record, verdict_key
from quorum.core.models import (
    Appeal,
    AppealState,
    Context,
    Decision,
    Frozen,
    Review,
    Verdict,
    is_none,
)
from quorum.ledger import ledger
from quorum.vote import quality_sample, telemetry
from quorum.vote.quality_sample import Sampled
from quorum.vote.review_claims import (
    ALLOWED,
    CLAIM_SECONDS,
    FREE,
    HELD,
    WAITS,
    require_allowed,
    whole_seconds,
)
from quorum.vote.review_entries import (
    INDEX,
    PENDING,
    REVIEWED,
    ReviewEntries,
    ReviewEntry,
    pending_field,
)
from quorum.vote.verdicts import verdict_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

PAGE_LIMIT = 10
"""Labels of a page: ten contents of full length, escaped, fit into a Lambda's answer."""
UNDO_SECONDS = 30
"""Seconds for which a reviewer may take a decision back."""

_ROUNDS = 5
"""Tries of one review while the entry of its content changes."""


class Label(Frozen):
    """A content that people have decided, by the verdict that stands for all verdicts on it.

    `content` is None if it was not kept (the panel had decided) or has expired; `context` is that
    of the content, as voters are shown it. `reviews` has all reviews, the latest last. `count`
    verdicts on the same content share the decision, this one included; they came from `first_seen`
    to `last_seen`. `weight` is the number of verdicts that the label stands for: 1 for each that
    the panel did not decide, 1/probability for each that was drawn for the quality sample.
    """

    verdict: Verdict
    content: str | None
    context: Context | None = Field(default=None, exclude_if=is_none)
    reviews: tuple[Review, ...]
    count: int
    weight: float = 1.0
    first_seen: datetime
    last_seen: datetime


class Kept(NamedTuple):
    """A content that is kept for a reviewer, and its context."""

    text: str
    context: Context | None


class LabelPage(Frozen):
    """A page of labels, oldest verdict first, and the cursor of the next (None: it is the last)."""

    labels: tuple[Label, ...]
    next: str | None


class Target(NamedTuple):
    """The verdict that a review is stored with: its id, its table item, and its entry as read."""

    verdict_id: str
    item: dict[str, Any]
    entry: ReviewEntry | None

    @property
    def reviews(self) -> tuple[Review, ...]:
        """All reviews so far, the latest last."""
        return reviews_of(self.item)

    @property
    def waits(self) -> bool:
        """Whether the content stands in the queue."""
        return str(self.item.get("review", "")).startswith(PENDING)


class _Step(NamedTuple):
    """A review to be stored, and how: by a claim, or back into the queue with one."""

    review: Review
    change: Change
    by_claim: bool = False
    back: bool = False


class Reviews:
    """The reviews in the Verdicts table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        entries: ReviewEntries,
        audit: AuditTrail,
        *,
        label_days: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._usage_table = usage_table
        self._entries = entries
        self._audit = audit
        self._label_days = label_days
        self._clock = clock

    # ---- deciding ----------------------------------------------------------------------------

    def add(
        self, tenant: str, verdict_id: str, review: Review, *, by: str, by_claim: bool = False
    ) -> Verdict:
        """Store `review`; returns the verdict with it. The same review sent again changes nothing.

        It decides for all verdicts of the same entry; one of `needs_review` withdraws the last.
        With `by_claim`, the reviewer must hold the claim; else nobody else may hold one. `by` is
        the name of the key, for the audit trail.

        Raises `NotFound`, `Conflict` if somebody else decides it or has just decided it, and
        `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            item = self.item(tenant, verdict_id)
            target = self.target(tenant, verdict_id, item)
            verdict = verdict_of(item | _shared(target.item))
            if verdict.review is not None and _same(verdict.review, review):
                return verdict
            if target.waits:
                require_allowed(target.item, review.reviewer, self._clock())
            elif by_claim:
                raise _decided()
            change = _change(Action.REVIEW_DECIDED, target, review, by)
            if self._store(tenant, item, target, _Step(review, change, by_claim=by_claim)):
                break
        else:
            raise StoreUnavailable("the review's entry changes faster than it can be written")
        with unavailable("the review's content could not be kept"):
            self._keep_content(tenant, target.verdict_id)
        telemetry.verdict_reviewed(verdict, review)
        return self._now(tenant, verdict_id)

    def undo(self, tenant: str, verdict_id: str, reviewer: str, *, by: str) -> Verdict:
        """Take back the reviewer's decision of the last seconds: the content waits again.

        The reviewer has the claim on it. The decision stays on record.

        Raises `NotFound`, `Conflict` if it is too late or the decision is not the reviewer's, and
        `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            item = self.item(tenant, verdict_id)
            target = self.target(tenant, verdict_id, item)
            reviews = target.reviews
            now = datetime.fromtimestamp(self._clock(), UTC)
            _require_undoable(reviews, target, reviewer, now)
            earlier = reviews[-2] if len(reviews) > 1 else None
            withdrawn = Review(decision=Decision.NEEDS_REVIEW, reviewer=reviewer, reviewed_at=now)
            back = withdrawn if earlier is None else earlier
            change = _change(Action.REVIEW_UNDONE, target, back, by)
            change = change.model_copy(update={"person": reviewer})
            if self._store(tenant, item, target, _Step(back, change, back=True)):
                return self._now(tenant, verdict_id)
        raise StoreUnavailable("the review's entry changes faster than it can be written")

    def item(self, tenant: str, verdict_id: str) -> dict[str, Any]:
        """The table item of a verdict, read consistently; raises `NotFound`."""
        key = {"id": verdict_key(tenant, verdict_id)}
        found = (
            dynamo.get(self._client, self._table, key, consistent=True)
            if may_be_record(verdict_id)
            else None
        )
        if found is None or "verdict" not in found:
            raise NotFound("no such verdict", code="verdict_not_found", field="id")
        return found

    def target(self, tenant: str, verdict_id: str, item: dict[str, Any]) -> Target:
        """The verdict in the queue for the content of `item`; `item`'s own if there is no other."""
        digest = str(item.get("entry", ""))  # verdicts of before there were entries have none
        entry = self._entries.read([(tenant, digest)]).get(digest) if digest else None
        if entry is not None and self._entries.is_open(entry):
            name = entry.verdict_id
        else:
            waits_with = str(item.get("waits_with", verdict_key(tenant, verdict_id)))
            name = waits_with.removeprefix(verdict_key(tenant, ""))
        if name == verdict_id:
            return Target(verdict_id, item, entry)
        with suppress(NotFound):  # it has expired
            return Target(name, self.item(tenant, name), entry)
        return Target(verdict_id, item, entry)

    def _now(self, tenant: str, verdict_id: str) -> Verdict:
        """The verdict as it reads now, with the reviews of the one it waits with."""
        item = self.item(tenant, verdict_id)
        return verdict_of(item | _shared(self.target(tenant, verdict_id, item).item))

    def _store(self, tenant: str, item: dict[str, Any], target: Target, step: _Step) -> bool:
        """Store a review with `target`, where `item` reads it; False if its entry has changed.

        Raises `Conflict` if somebody else claimed or decided the content in between.
        """
        after = self._entries.after(step.review, target.verdict_id, _expiry(target.item))
        transaction = [self._update(tenant, target, step, after)]
        if "entry" in target.item:
            digest = str(target.item["entry"])
            transaction.append(self._entries.claim(tenant, digest, target.entry, after))
        if item["id"] != target.item["id"]:
            transaction.append(self.read_from(item, target))
        transaction += self._counted(tenant, target, step)
        failed = self._audit.write(tenant, step.change, transaction)
        if 0 in failed:
            now = self.item(tenant, target.verdict_id)
            if len(now.get("reviews", ())) != len(target.item.get("reviews", ())):
                raise Conflict(
                    "somebody else reviewed this verdict at the same moment; read it again",
                    code="reviewed_meanwhile",
                )
            require_allowed(now, step.review.reviewer, self._clock())
            if step.by_claim:
                raise Conflict(
                    "the claim on this content has expired; claim it again",
                    code="claim_expired",
                    field="reviewer",
                )
        return not failed

    def _update(
        self, tenant: str, target: Target, step: _Step, after: ReviewEntry
    ) -> dict[str, Any]:
        """The transaction item that adds a review to the verdict in the queue."""
        review, now = step.review, whole_seconds(self._clock())
        earlier = len(target.item.get("reviews", ()))
        waits = step.back or review.decision is Decision.NEEDS_REVIEW
        fields: dict[str, Any] = {
            "review": pending_field(tenant, verdict_of(target.item))
            if waits
            else f"{REVIEWED}#{tenant}",
            "expires_at": after.expires_at,
        }
        appeal = _appeal_after(target, step)
        if appeal is not None:
            fields["appeal"] = appeal.model_dump_json()
        values: dict[str, Any] = {":none": [], ":added": [review.model_dump_json()]}
        removed = "" if step.back else " REMOVE claimed_by, claimed_until"
        conditions = [
            "attribute_exists(id)",
            "size(reviews) = :earlier" if earlier else "attribute_not_exists(reviews)",
        ]
        values |= {":earlier": earlier} if earlier else {}
        if step.back:
            person = step.change.person
            fields |= {"claimed_by": person, "claimed_until": now + CLAIM_SECONDS}
        elif target.waits:
            conditions += [WAITS, HELD if step.by_claim else FREE, ALLOWED]
            values |= {":pending": PENDING, ":now": now, ":person": review.reviewer}
        settings = ", ".join(f"#{name} = :{name}" for name in fields)
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"id": verdict_key(tenant, target.verdict_id)},
                "UpdateExpression": (
                    f"SET reviews = list_append(if_not_exists(reviews, :none), :added),"
                    f" {settings}{removed}"
                ),
                "ConditionExpression": " AND ".join(conditions),
                "ExpressionAttributeNames": {f"#{name}": name for name in fields},
                "ExpressionAttributeValues": values
                | {f":{name}": value for name, value in fields.items()},
            }
        }

    def read_from(self, item: dict[str, Any], target: Target) -> dict[str, Any]:
        """The transaction item by which a verdict shows the reviews of `target`."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"id": item["id"]},
                "UpdateExpression": "SET waits_with = :target REMOVE #review",
                "ConditionExpression": "attribute_exists(id)",
                "ExpressionAttributeNames": {"#review": "review"},
                "ExpressionAttributeValues": {":target": target.item["id"]},
            }
        }

    def _counted(self, tenant: str, target: Target, step: _Step) -> list[dict[str, Any]]:
        """The transaction items that count what became of an appeal, or no longer count it."""
        before = _appeal_of(target.item)
        after = _appeal_after(target, step)
        if before is None or after is None or before.state is after.state:
            return []
        decided, count = (before, -1) if step.back else (after, 1)
        day = datetime.fromtimestamp(self._clock(), UTC).date()
        if decided.decided_at is not None:
            day = decided.decided_at.date()
        return [ledger.appealed(self._usage_table, tenant, {decided.state: count}, day=day)]

    # ---- labels ------------------------------------------------------------------------------

    def labels(
        self,
        tenant: str,
        *,
        limit: int = PAGE_LIMIT,
        after: str | None = None,
        with_contents: bool = True,
        newest_first: bool = False,
    ) -> LabelPage:
        """Up to `limit` contents that people decided, in the order in which their verdicts came.

        `after` is the `next` of the page before. Raises `InvalidRequest` for an invalid cursor, and
        `StoreUnavailable`.
        """
        prefix, partition = verdict_key(tenant, ""), f"{REVIEWED}#{tenant}"
        items, following = read_page(
            self._client,
            self._table,
            INDEX,
            prefix,
            partition,
            limit=limit,
            after=after,
            newest_first=newest_first,
        )
        found = list(dynamo.readable(items, lambda item: (verdict_of(item), item), "id"))
        wanted = [verdict.id for verdict, _ in found] if with_contents else []
        contents = self._contents(tenant, wanted)
        labels = tuple(
            Label(
                verdict=verdict,
                content=contents[verdict.id].text if verdict.id in contents else None,
                context=contents[verdict.id].context if verdict.id in contents else None,
                reviews=reviews_of(item),
                count=int(item.get("seen", 1)),
                weight=_weight(item),
                first_seen=verdict.created_at,
                last_seen=item.get("last_seen", verdict.created_at),
            )
            for verdict, item in found
        )
        return LabelPage(labels=labels, next=following)

    def kept_contents(self, tenant: str, verdict_ids: "Sequence[str]") -> dict[str, Kept]:
        """Verdict id → content, of those verdicts whose content is still kept for a reviewer."""
        return self._contents(tenant, [one for one in verdict_ids if may_be_record(one)])

    def _keep_content(self, tenant: str, verdict_id: str) -> None:
        """Keep the content, if it is still stored, for `label_days` more."""
        not_kept = self._client.exceptions.ConditionalCheckFailedException
        # If none is stored, the panel had decided, or the content has expired.
        with suppress(not_kept):
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key={"id": content_key(tenant, verdict_id)},
                UpdateExpression="SET expires_at = :later",
                ConditionExpression="attribute_exists(content)",
                ExpressionAttributeValues={":later": int(self._clock()) + self._label_days * DAY},
            )

    def _contents(self, tenant: str, verdict_ids: "Sequence[str]") -> dict[str, Kept]:
        """Verdict id → content, without expired ones (DynamoDB may delete them two days late)."""
        keys: list[dict[str, Any]] = [{"id": content_key(tenant, found)} for found in verdict_ids]
        now = self._clock()
        return {
            str(item["id"]).removeprefix(content_key(tenant, "")): _kept(item)
            for item in dynamo.read(self._client, self._table, keys)
            if int(str(item["expires_at"])) > now
        }


def reviews_of(item: Any) -> tuple[Review, ...]:
    """The reviews on a verdict's table item, the latest last."""
    return tuple(
        Review.model_validate_json(str(one), extra="ignore") for one in item.get("reviews", ())
    )


def _shared(item: dict[str, Any]) -> dict[str, Any]:
    """The fields that a verdict shows of the one that stands in the queue for it."""
    appeal = {"appeal": item["appeal"]} if "appeal" in item else {}
    return {"reviews": item.get("reviews", [])} | appeal


def _expiry(item: dict[str, Any]) -> int:
    return int(item["expires_at"])


def _decided() -> Conflict:
    return Conflict(
        "somebody else has decided this content; take the next one", code="already_decided"
    )


def _require_undoable(
    reviews: tuple[Review, ...], target: Target, reviewer: str, now: datetime
) -> None:
    last = reviews[-1] if reviews else None
    if last is None or target.waits or last.reviewer != reviewer:
        raise Conflict(
            "the last decision on this content is not this reviewer's",
            code="nothing_to_undo",
            field="reviewer",
        )
    if (now - last.reviewed_at).total_seconds() > UNDO_SECONDS:
        raise Conflict(
            f"a decision can be taken back for {UNDO_SECONDS} seconds; review it again instead",
            code="too_late_to_undo",
            limit=UNDO_SECONDS,
        )


def _change(action: Action, target: Target, review: Review, by: str) -> Change:
    """The entry of a review in the audit trail, without its note, which may quote content."""
    last = target.reviews[-1] if target.reviews else None
    return Change(
        action=action,
        by=by,
        person=review.reviewer,
        subject=f"verdict/{target.verdict_id}",
        before={} if last is None else _facts(last),
        after=_facts(review),
    )


def _facts(review: Review) -> dict[str, Fact]:
    facts: dict[str, Fact] = {"decision": str(review.decision), "reviewer": review.reviewer}
    return facts | ({"categories": review.categories} if review.categories else {})


def _appeal_of(item: dict[str, Any]) -> Appeal | None:
    return (
        Appeal.model_validate_json(str(item["appeal"]), extra="ignore")
        if "appeal" in item
        else None
    )


def _appeal_after(target: Target, step: _Step) -> Appeal | None:
    """The appeal after a review: decided by it, or open again where it is taken back."""
    appeal = _appeal_of(target.item)
    if appeal is None:
        return None
    if step.back:
        return Appeal(decision=appeal.decision, made_at=appeal.made_at)
    if appeal.state is not AppealState.OPEN or step.review.decision is Decision.NEEDS_REVIEW:
        return appeal
    upheld = step.review.decision is appeal.decision
    state = AppealState.UPHELD if upheld else AppealState.OVERTURNED
    return appeal.model_copy(update={"state": state, "decided_at": step.review.reviewed_at})


def _weight(item: Any) -> float:
    """The number of verdicts that a label stands for."""
    drawn = sum(
        (quality_sample.read(item, one) for one in (Decision.SAFE, Decision.UNSAFE)), Sampled()
    )
    undecided = max(0, int(item.get("seen", 1)) - drawn.count)
    return float(undecided + Decimal(drawn.weight))


def _kept(item: dict[str, Any]) -> Kept:
    context = item.get("context")
    return Kept(
        str(item["content"]),
        None if context is None else Context.model_validate_json(str(context), extra="ignore"),
    )


def _same(one: Review, other: Review) -> bool:
    return one.model_copy(update={"reviewed_at": other.reviewed_at}) == other
