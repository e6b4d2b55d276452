"""Claims: a reviewer takes a content, keeps it while it is open, and gives it back or passes it on.

A claim is one conditional write (`quorum.vote.review_claims`). Of two people who want the same
content one gets it, and a claim that nobody extends expires.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any

from quorum.audit.chain import Action, Change, Fact
from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import Conflict
from quorum.core.identifiers import verdict_key
from quorum.core.models import Frozen
from quorum.review.requests import ClaimRequest, SkipReason
from quorum.review.waiting import Escalation, WaitingContent, WaitingQueue, is_takeable
from quorum.vote.review_claims import (
    ALLOWED,
    CLAIM_SECONDS,
    FREE,
    HELD,
    NOT_SHORTER,
    WAITS,
    claim_of,
    require_allowed,
    whole_seconds,
)
from quorum.vote.review_entries import PENDING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.audit.trail import AuditTrail
    from quorum.vote.reviews import Reviews

CANDIDATES = 25
"""Contents that are looked at together for one to claim."""
AHEAD_SECONDS = 120
"""Seconds of a claim on the content after the one that a reviewer has open: it was not seen yet."""
LOOKS = 8
"""Times that more candidates are looked at. Where others hold so many, nothing is claimed."""


class Claimed(Frozen):
    """The contents that a reviewer has claimed, in order.

    Where there are fewer than were asked for: `held` of what was looked at is claimed by others,
    the first of it until `free_at`, and `excluded` may not be decided by this reviewer.
    """

    claims: tuple[WaitingContent, ...]
    held: int = 0
    excluded: int = 0
    free_at: datetime | None = None


class Claims:
    """The claims on what waits."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        reviews: "Reviews",
        queue: WaitingQueue,
        audit: "AuditTrail",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._reviews = reviews
        self._queue = queue
        self._audit = audit
        self._clock = clock

    def take_next(self, tenant: str, request: ClaimRequest, *, by: str) -> Claimed:
        """Claim the next contents that match the request.

        What the reviewer holds already comes first in its place, and is held on to. Raises
        `StoreUnavailable`.
        """
        return self._take_next(tenant, request, by, CLAIM_SECONDS)

    def take_ahead(
        self, tenant: str, request: ClaimRequest, verdict_id: str, *, by: str
    ) -> Claimed:
        """Claim the content after the one that the reviewer has open, for `AHEAD_SECONDS`.

        As `take_next`; no claim ends sooner because of it.
        """
        return self._take_next(tenant, request, by, AHEAD_SECONDS, besides=verdict_id)

    def _take_next(
        self, tenant: str, request: ClaimRequest, by: str, seconds: int, *, besides: str = ""
    ) -> Claimed:
        taken: list[dict[str, Any]] = []
        held = excluded = 0
        free_at: datetime | None = None
        after: str | None = None
        for _ in range(LOOKS):
            items, after = self._queue.items(
                tenant, request.wanted(), request.order, limit=CANDIDATES, after=after
            )
            for item in items:
                if item["id"] == verdict_key(tenant, besides):
                    continue
                now = self._clock()
                claim = claim_of(item, now)
                if is_takeable(item, request.reviewer, now):
                    fresh = self._take(tenant, item, request.reviewer, by, seconds)
                    if fresh is not None:
                        taken.append(fresh)
                        if len(taken) == request.count:
                            return self._claimed(tenant, taken)
                elif claim is not None and claim.reviewer != request.reviewer:
                    held += 1
                    free_at = claim.until if free_at is None else min(free_at, claim.until)
                else:
                    excluded += 1
            if after is None:
                break
        claimed = self._claimed(tenant, taken)
        return claimed.model_copy(update={"held": held, "excluded": excluded, "free_at": free_at})

    def take(self, tenant: str, verdict_id: str, reviewer: str, *, by: str) -> WaitingContent:
        """Claim a content, or extend the reviewer's claim on it.

        Raises `NotFound`, `Conflict` if it does not wait, is claimed by another or may not be
        decided by this reviewer, and `StoreUnavailable`.
        """
        item = self._waiting(tenant, verdict_id)
        require_allowed(item, reviewer, self._clock())
        fresh = self._take(tenant, item, reviewer, by)
        if fresh is None:
            item = self._waiting(tenant, verdict_id)
            require_allowed(item, reviewer, self._clock())
            raise Conflict("this content changed; claim it again", code="changed_meanwhile")
        (shown,) = self._queue.shown(tenant, [fresh])
        return shown

    def release(
        self, tenant: str, verdict_id: str, reviewer: str, *, by: str, until: int | None = None
    ) -> None:
        """Give a content back; raises `Conflict` if the reviewer does not hold it.

        With `until` (epoch seconds), the claim that ends then: not one that was extended since.
        """
        change = Change(
            action=Action.REVIEW_RELEASED,
            by=by,
            person=reviewer,
            subject=f"verdict/{verdict_id}",
        )
        update = "REMOVE claimed_by, claimed_until"
        if until is None:
            self._give_up(tenant, verdict_id, change, update, {})
        else:
            ends = "claimed_until = :until"
            self._give_up(tenant, verdict_id, change, update, {":until": until}, ends)

    def leave(
        self, tenant: str, verdict_id: str, reviewer: str, reason: SkipReason, *, by: str
    ) -> None:
        """Give a content back for good: somebody else decides it. Raises as `release`."""
        change = Change(
            action=Action.REVIEW_SKIPPED,
            by=by,
            person=reviewer,
            subject=f"verdict/{verdict_id}",
            after={"reason": reason},
        )
        update = "ADD excluded :people REMOVE claimed_by, claimed_until"
        self._give_up(tenant, verdict_id, change, update, {":people": {reviewer}})

    def escalate(self, tenant: str, verdict_id: str, reviewer: str, note: str, *, by: str) -> None:
        """Pass a content on to somebody else, with a note. Raises as `release`."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        escalation = Escalation(reviewer=reviewer, at=now, note=note)
        change = Change(
            action=Action.REVIEW_ESCALATED,
            by=by,
            person=reviewer,
            subject=f"verdict/{verdict_id}",
            after={"origin": "escalated"},
        )
        # An appeal that is passed on is still one.
        update = (
            "SET escalations = list_append(if_not_exists(escalations, :none), :escalation),"
            " origin = if_not_exists(origin, :escalated)"
            " ADD excluded :people REMOVE claimed_by, claimed_until"
        )
        values = {
            ":none": [],
            ":escalation": [escalation.model_dump_json()],
            ":escalated": "escalated",
            ":people": {reviewer},
        }
        self._give_up(tenant, verdict_id, change, update, values)

    def _waiting(self, tenant: str, verdict_id: str) -> dict[str, Any]:
        """The table item of a content that waits."""
        item = self._reviews.item(tenant, verdict_id)
        if not str(item.get("review", "")).startswith(PENDING):
            raise Conflict("this content does not wait for a person", code="not_waiting")
        return item

    def _take(
        self,
        tenant: str,
        item: dict[str, Any],
        reviewer: str,
        by: str,
        seconds: int = CLAIM_SECONDS,
    ) -> dict[str, Any] | None:
        """Claim the content of an item, or extend the claim; None if somebody else was first."""
        now = self._clock()
        until = whole_seconds(now) + seconds
        claim = claim_of(item, now)
        if claim is not None and claim.reviewer == reviewer and claim.until.timestamp() >= until:
            return item
        verdict_id = str(item["id"]).removeprefix(verdict_key(tenant, ""))
        update = {
            "TableName": self._table,
            "Key": {"id": item["id"]},
            "UpdateExpression": "SET claimed_by = :person, claimed_until = :until",
            "ConditionExpression": f"{WAITS} AND {FREE} AND {ALLOWED} AND {NOT_SHORTER}",
            "ExpressionAttributeNames": {"#review": "review"},
            "ExpressionAttributeValues": {
                ":pending": PENDING,
                ":person": reviewer,
                ":now": whole_seconds(now),
                ":until": until,
            },
        }
        if claim is not None and claim.reviewer == reviewer:
            written = self._extend(update)
        else:
            facts: dict[str, Fact] = {"until": datetime.fromtimestamp(until, UTC).isoformat()}
            change = Change(
                action=Action.REVIEW_CLAIMED,
                by=by,
                person=reviewer,
                subject=f"verdict/{verdict_id}",
                after=facts,
            )
            written = not self._audit.write(tenant, change, [{"Update": update}])
        if not written:
            return None
        return item | {"claimed_by": reviewer, "claimed_until": until}

    def _extend(self, update: dict[str, Any]) -> bool:
        """Extend a claim, which is no change of who holds it; False if it was lost."""
        with unavailable("the claim could not be extended"):
            return not dynamo.write(self._client, [{"Update": update}])

    def _give_up(
        self,
        tenant: str,
        verdict_id: str,
        change: Change,
        update: str,
        values: dict[str, Any],
        *conditions: str,
    ) -> None:
        """Write `update` to a content that the change's person holds, under more conditions."""
        item = self._waiting(tenant, verdict_id)
        written = {
            "TableName": self._table,
            "Key": {"id": item["id"]},
            "UpdateExpression": update,
            "ConditionExpression": " AND ".join((WAITS, HELD, *conditions)),
            "ExpressionAttributeNames": {"#review": "review"},
            "ExpressionAttributeValues": values
            | {
                ":pending": PENDING,
                ":person": change.person,
                ":now": whole_seconds(self._clock()),
            },
        }
        if self._audit.write(tenant, change, [{"Update": written}]):
            raise Conflict(
                "this reviewer does not hold a claim on the content",
                code="claim_expired",
                field="reviewer",
            )

    def _claimed(self, tenant: str, items: list[dict[str, Any]]) -> Claimed:
        return Claimed(claims=self._queue.shown(tenant, items))
