"""Reviews: people's decisions on verdicts. Each becomes a label for calibration.

A verdict may be reviewed again: the latest review counts and the earlier ones stay, so a mistake
can be corrected and no decision is lost. A review decides for every verdict that shares its entry
(`quorum.vote.review_entries`): it is stored with the one that stands in the queue for all. The
content that was kept for the reviewer is kept for `label_days` more, because a label without its
text teaches fewer voters; then it expires.
"""

import base64
import binascii
import json
from contextlib import suppress
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import Field

from quorum.audit.chain import Action, Change, Fact
from quorum.audit.trail import AuditTrail
from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable
from quorum.core.errors import Conflict, InvalidRequest, NotFound, StoreUnavailable
from quorum.core.identifiers import content_key, may_be_record, verdict_key
from quorum.core.models import Context, Decision, Frozen, Review, Verdict, is_none
from quorum.vote import telemetry
from quorum.vote.review_entries import PENDING, REVIEWED, ReviewEntries, ReviewEntry
from quorum.vote.verdicts import verdict_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

PAGE_LIMIT = 10
"""Entries of a page: ten contents of full length, escaped, fit into a Lambda's answer."""

_ROUNDS = 5
"""Tries of one review while the entry of its content changes."""

Status = Literal["pending", "reviewed"]


class Reviewed(Frozen):
    """A verdict in the queue of reviewers.

    `content` is None if it was not kept (the panel had decided) or has expired; `context` is that
    of the content, as voters are shown it. `reviews` has all reviews, the latest last. `count`
    verdicts on the same content wait for the same decision, this one included; they came from
    `first_seen` to `last_seen`.
    """

    verdict: Verdict
    content: str | None
    context: Context | None = Field(default=None, exclude_if=is_none)
    reviews: tuple[Review, ...]
    count: int
    first_seen: datetime
    last_seen: datetime


class Kept(NamedTuple):
    """A content that is kept for a reviewer, and its context."""

    text: str
    context: Context | None


class _Target(NamedTuple):
    """The verdict that a review is stored with: its id, its table item, and its entry as read."""

    verdict_id: str
    item: dict[str, Any]
    entry: ReviewEntry | None


class Page(Frozen):
    """A page of the queue, oldest first, and the cursor of the next page (None: it is the last)."""

    reviews: tuple[Reviewed, ...]
    next: str | None


class Reviews:
    """The reviews in the Verdicts table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        entries: ReviewEntries,
        audit: AuditTrail,
        *,
        label_days: int,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._entries = entries
        self._audit = audit
        self._label_days = label_days

    def add(self, tenant: str, verdict_id: str, review: Review, *, by: str) -> Verdict:
        """Store `review`; returns the verdict with it. The same review sent again changes nothing.

        `by` is the name of the key that sent it, for the audit trail.

        It decides for all verdicts of the same entry; one of `needs_review` withdraws the last.

        Raises `NotFound`, `Conflict` if another review came at the same moment, and
        `StoreUnavailable`.
        """
        for _ in range(_ROUNDS):
            item = self._item(tenant, verdict_id) if may_be_record(verdict_id) else None
            if item is None:
                raise NotFound("no such verdict", code="verdict_not_found", field="id")
            target = self._target(tenant, verdict_id, item)
            verdict = verdict_of(item | {"reviews": target.item.get("reviews", [])})
            if verdict.review is not None and _same(verdict.review, review):
                return verdict
            change = _change(target.verdict_id, verdict.review, review, by)
            if self._append(tenant, item, target, review, change):
                break
        else:
            raise StoreUnavailable("the review's entry changes faster than it can be written")
        with unavailable("the review's content could not be kept"):
            self._keep_content(tenant, target.verdict_id)
        telemetry.verdict_reviewed(verdict, review)
        return verdict.model_copy(update={"review": review})

    def _item(self, tenant: str, verdict_id: str) -> dict[str, Any] | None:
        key = {"id": verdict_key(tenant, verdict_id)}
        return dynamo.get(self._client, self._table, key, consistent=True)

    def _target(self, tenant: str, verdict_id: str, item: dict[str, Any]) -> _Target:
        """The verdict in the queue for the content of `item`; `item`'s own if there is no other."""
        digest = str(item.get("entry", ""))  # verdicts of before there were entries have none
        entry = self._entries.read([(tenant, digest)]).get(digest) if digest else None
        if entry is not None and self._entries.is_open(entry):
            name = entry.verdict_id
        else:
            waits_with = str(item.get("waits_with", verdict_key(tenant, verdict_id)))
            name = waits_with.removeprefix(verdict_key(tenant, ""))
        found = item if name == verdict_id else self._item(tenant, name)
        if found is None:  # it has expired
            return _Target(verdict_id, item, entry)
        return _Target(name, found, entry)

    def page(
        self, tenant: str, status: Status, *, limit: int = PAGE_LIMIT, after: str | None = None
    ) -> Page:
        """Up to `limit` verdicts that are pending or reviewed, the oldest first.

        `after` is the `next` of the page before. Raises `InvalidRequest` for an invalid cursor, and
        `StoreUnavailable`.
        """
        start = {} if after is None else {"ExclusiveStartKey": _position(tenant, status, after)}
        found = dynamo.query(
            self._client,
            TableName=self._table,
            IndexName="reviews",
            KeyConditionExpression="#review = :review",
            ExpressionAttributeNames={"#review": "review"},
            ExpressionAttributeValues={":review": f"{status}#{tenant}"},
            Limit=limit,
            **start,
        )
        verdicts = [verdict_of(item) for item in found["Items"]]
        contents = self._contents(tenant, [verdict.id for verdict in verdicts])
        entries = tuple(
            Reviewed(
                verdict=verdict,
                content=contents[verdict.id].text if verdict.id in contents else None,
                context=contents[verdict.id].context if verdict.id in contents else None,
                reviews=_reviews(item),
                count=int(item.get("seen", 1)),
                first_seen=verdict.created_at,
                last_seen=item.get("last_seen", verdict.created_at),
            )
            for verdict, item in zip(verdicts, found["Items"], strict=True)
        )
        last = found.get("LastEvaluatedKey")
        return Page(reviews=entries, next=None if last is None else _cursor(tenant, last))

    def _append(
        self, tenant: str, item: dict[str, Any], target: _Target, review: Review, change: Change
    ) -> bool:
        """Store `review` with `target`, where `item` reads it; False if its entry has changed.

        Raises `Conflict` if another review came in between.
        """
        earlier = len(target.item.get("reviews", ()))
        after = self._entries.after(review, target.verdict_id, int(target.item["expires_at"]))
        state = PENDING if review.decision is Decision.NEEDS_REVIEW else REVIEWED
        values: dict[str, Any] = {
            ":state": f"{state}#{tenant}",
            ":none": [],
            ":review": [review.model_dump_json()],
            ":expires_at": after.expires_at,
        }
        unchanged = "size(reviews) = :earlier" if earlier else "attribute_not_exists(reviews)"
        transaction = [
            {
                "Update": {
                    "TableName": self._table,
                    "Key": {"id": verdict_key(tenant, target.verdict_id)},
                    "UpdateExpression": (
                        "SET #review = :state, expires_at = :expires_at,"
                        " reviews = list_append(if_not_exists(reviews, :none), :review)"
                    ),
                    "ConditionExpression": f"attribute_exists(id) AND {unchanged}",
                    "ExpressionAttributeNames": {"#review": "review"},
                    "ExpressionAttributeValues": values
                    | ({":earlier": earlier} if earlier else {}),
                }
            }
        ]
        if "entry" in target.item:
            digest = str(target.item["entry"])
            transaction.append(self._entries.claim(tenant, digest, target.entry, after))
        if item["id"] != target.item["id"]:
            transaction.append(self._read_from(item, target))
        failed = self._audit.write(tenant, change, transaction)
        if 0 in failed:
            raise Conflict(
                "somebody else reviewed this verdict at the same moment; read it again",
                code="reviewed_meanwhile",
            )
        return not failed

    def _read_from(self, item: dict[str, Any], target: _Target) -> dict[str, Any]:
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
                ExpressionAttributeValues={":later": int(time()) + self._label_days * DAY},
            )

    def _contents(self, tenant: str, verdict_ids: "Sequence[str]") -> dict[str, Kept]:
        """Verdict id → content, without expired ones (DynamoDB may delete them two days late)."""
        keys: list[dict[str, Any]] = [{"id": content_key(tenant, found)} for found in verdict_ids]
        now = time()
        return {
            str(item["id"]).removeprefix(content_key(tenant, "")): _kept(item)
            for item in dynamo.read(self._client, self._table, keys)
            if int(str(item["expires_at"])) > now
        }


def _kept(item: dict[str, Any]) -> Kept:
    context = item.get("context")
    return Kept(
        str(item["content"]),
        None if context is None else Context.model_validate_json(str(context)),
    )


def _reviews(item: Any) -> tuple[Review, ...]:
    return tuple(Review.model_validate_json(str(one)) for one in item.get("reviews", ()))


def _change(verdict_id: str, last: Review | None, review: Review, by: str) -> Change:
    """The entry of a review in the audit trail, without its note, which may quote content."""
    before: dict[str, Fact] = {}
    if last is not None:
        before = {"decision": str(last.decision), "reviewer": last.reviewer}
    return Change(
        action=Action.REVIEW_DECIDED,
        by=by,
        person=review.reviewer,
        subject=f"verdict/{verdict_id}",
        before=before,
        after={"decision": str(review.decision), "reviewer": review.reviewer},
    )


def _same(one: Review, other: Review) -> bool:
    return one.model_copy(update={"reviewed_at": other.reviewed_at}) == other


def _cursor(tenant: str, key: Any) -> str:
    """The cursor: the last key of a page, without the tenant, which the reader's key gives."""
    position = [str(key["id"]).removeprefix(verdict_key(tenant, "")), str(key["created_at"])]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _position(tenant: str, status: Status, cursor: str) -> dict[str, str]:
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        verdict_id, created_at = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError, TypeError) as error:
        raise wrong from error
    if not may_be_record(str(verdict_id)):
        raise wrong
    return {
        "id": verdict_key(tenant, str(verdict_id)),
        "review": f"{status}#{tenant}",
        "created_at": created_at,
    }
