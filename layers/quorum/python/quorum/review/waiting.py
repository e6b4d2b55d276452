"""The queue of what waits for a person: in order, filtered, counted, page by page.

The index `reviews` has partitions for each tenant, severity and shard
(`quorum.vote.review_entries`), each in the order in which verdicts came. A page is merged from the
partitions it is about. Contents that waited before there were severities are in one of their own.

What a reviewer sees of a content says nothing of the panel's decision and votes: a verdict that
waits as a quality check looks like one that no panel decided.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from quorum.aws import dynamo
from quorum.core.errors import InvalidRequest
from quorum.core.identifiers import (
    appeal_key,
    batch_partition,
    may_be_record,
    verdict_key,
)
from quorum.core.models import CategoryName, Context, Frozen, is_none
from quorum.review.requests import Order, Origin, QueueFilter
from quorum.vote.review_claims import Claim, claim_of, excluded_from, whole_seconds
from quorum.vote.review_entries import INDEX, PENDING, SHARDS, pending_partition
from quorum.vote.severity import Severity, severity_of, suspected_in
from quorum.vote.verdicts import verdict_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.vote.reviews import Reviews

PAGE_LIMIT = 10
"""Contents of a page: ten of full length, escaped, fit into a Lambda's answer."""
READ_LIMIT = 100
"""Entries that one query looks at; those that do not match count, too."""
QUERIES = 10
"""Queries of one partition for a page. Where few entries match, a page may be short, or empty."""
COUNT_LIMIT = 5_000
"""Entries that are counted. Where more wait, the counts are of the first of each severity."""


class Escalation(Frozen):
    """A reviewer who passed the content on, when, and why."""

    reviewer: str
    at: datetime
    note: str = ""


class WaitingContent(Frozen):
    """A content that waits for a person, as the person sees it.

    `verdict_id` names it; its verdict says what the panel made of it. `content` is None if it has
    expired. `categories` are those that are flagged, or that a voter gives half a chance. `count`
    verdicts wait for the same decision; they came from `first_seen` to `last_seen`. `claim` is who
    may decide it now. An appeal has the author's words.
    """

    verdict_id: str
    origin: Origin
    severity: Severity
    content: str | None
    context: Context | None = Field(default=None, exclude_if=is_none)
    language: str | None
    categories: tuple[CategoryName, ...]
    policy: str
    policy_version: str
    panel: str
    count: int
    first_seen: datetime
    last_seen: datetime
    claim: Claim | None = None
    escalations: tuple[Escalation, ...] = ()
    appeal: str | None = Field(default=None, exclude_if=is_none)


class QueuePage(Frozen):
    """A page of the queue, and the cursor of the next page (None: it is the last).

    A page with a `next` may hold fewer contents than the limit, or none.
    """

    reviews: tuple[WaitingContent, ...]
    next: str | None


class QueueCounts(Frozen):
    """How much waits, altogether and by what a filter may ask for.

    `claimed` of them are claimed now. `oldest` came first. Not `complete`: more waits than was
    counted.
    """

    waiting: int
    claimed: int
    oldest: datetime | None
    complete: bool
    by_severity: dict[str, int]
    by_origin: dict[str, int]
    by_category: dict[str, int]
    by_language: dict[str, int]
    by_policy: dict[str, int]
    by_panel: dict[str, int]


class _Position(NamedTuple):
    """A place in a partition's order."""

    created_at: str
    name: str


class _Start(NamedTuple):
    """Where a page starts: in which group of partitions, after which place."""

    group: int
    after: _Position | None = None


class _Read(NamedTuple):
    """The matching entries of a partition, in order, and how far it was read (None: all)."""

    items: list[dict[str, Any]]
    reached: _Position | None


class WaitingQueue:
    """What waits, from the index `reviews` of the Verdicts table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        reviews: "Reviews",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._reviews = reviews
        self._clock = clock

    def page(
        self,
        tenant: str,
        wanted: QueueFilter,
        order: Order,
        *,
        limit: int = PAGE_LIMIT,
        after: str | None = None,
    ) -> QueuePage:
        """Up to `limit` contents in order; `after` is the `next` of the page before.

        Raises `InvalidRequest` for an invalid cursor, and `StoreUnavailable`.
        """
        items, cursor = self.items(tenant, wanted, order, limit=limit, after=after)
        return QueuePage(reviews=self.shown(tenant, items), next=cursor)

    def items(
        self,
        tenant: str,
        wanted: QueueFilter,
        order: Order,
        *,
        limit: int,
        after: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """As `page`: the table items that can be read, and the cursor."""
        groups = _groups(tenant, wanted.severity, order)
        start: _Start | None = _Start(0) if after is None else _start(after, len(groups))
        found: list[dict[str, Any]] = []
        while start is not None and len(found) < limit:
            left = limit - len(found)
            read = self._read_all(tenant, groups[start.group], wanted, start.after, left)
            items, reached = _merged(read, left)
            # One that newer code stored would be the first claim of everybody.
            found += dynamo.readable(items, _if_readable, "id")
            group = start.group
            if reached is not None:
                return found, _cursor(_Start(group, reached))
            start = _Start(group + 1) if group + 1 < len(groups) else None
        return found, None if start is None else _cursor(start)

    def counts(self, tenant: str) -> QueueCounts:
        """How much waits for the tenant's reviewers; read from the index, at most so much of it."""
        now = self._clock()
        counted: dict[str, Counter[str]] = {
            name: Counter()
            for name in ("severity", "origin", "category", "language", "policy", "panel")
        }
        waiting = claimed = 0
        oldest: str | None = None
        complete = True
        partitions = [one for group in _groups(tenant, None, "severest") for one in group]
        for partition, item in ((one, item) for one in partitions for item in self._all(one)):
            if waiting == COUNT_LIMIT:
                complete = False
                break
            waiting += 1
            claimed += claim_of(item, now) is not None
            created_at = str(item["created_at"])
            oldest = created_at if oldest is None else min(oldest, created_at)
            _count(counted, partition, item)
        return QueueCounts(
            waiting=waiting,
            claimed=claimed,
            oldest=None if oldest is None else datetime.fromisoformat(oldest),
            complete=complete,
            **{f"by_{name}": dict(counter.most_common()) for name, counter in counted.items()},
        )

    def shown(self, tenant: str, items: Sequence[Mapping[str, Any]]) -> tuple[WaitingContent, ...]:
        """The contents of table items, as a reviewer sees them."""
        verdicts = [verdict_of(dict(item)) for item in items]
        contents = self._reviews.kept_contents(tenant, [one.id for one in verdicts])
        appealed = [one.id for one, item in zip(verdicts, items, strict=True) if _appealed(item)]
        words = self._words(tenant, appealed)
        now = self._clock()
        return tuple(
            WaitingContent(
                verdict_id=verdict.id,
                origin=_origin(item),
                severity=severity_of(verdict),
                content=contents[verdict.id].text if verdict.id in contents else None,
                context=contents[verdict.id].context if verdict.id in contents else None,
                language=verdict.language,
                categories=suspected_in(verdict),
                policy=verdict.policy,
                policy_version=verdict.policy_version,
                panel=verdict.panel,
                count=int(item.get("seen", 1)),
                first_seen=verdict.created_at,
                last_seen=item.get("last_seen", verdict.created_at),
                claim=claim_of(item, now),
                escalations=tuple(
                    Escalation.model_validate_json(str(one), extra="ignore")
                    for one in item.get("escalations", ())
                ),
                appeal=words.get(verdict.id),
            )
            for verdict, item in zip(verdicts, items, strict=True)
        )

    def _words(self, tenant: str, verdict_ids: Sequence[str]) -> dict[str, str]:
        """Verdict id → the author's words against its decision, where they are still kept."""
        keys = [{"id": appeal_key(tenant, one)} for one in verdict_ids]
        now = self._clock()
        return {
            str(item["id"]).removeprefix(appeal_key(tenant, "")): str(item["words"])
            for item in dynamo.read(self._client, self._table, keys)
            if int(str(item["expires_at"])) > now
        }

    def _read_all(
        self,
        tenant: str,
        partitions: Sequence[str],
        wanted: QueueFilter,
        after: _Position | None,
        limit: int,
    ) -> list[_Read]:
        """As `_read`, of several partitions at once."""

        def one(partition: str) -> _Read:
            return self._read(tenant, partition, wanted, after, limit)

        with ThreadPoolExecutor(min(len(partitions), SHARDS)) as threads:
            return list(threads.map(one, partitions))

    def _read(
        self,
        tenant: str,
        partition: str,
        wanted: QueueFilter,
        after: _Position | None,
        limit: int,
    ) -> _Read:
        """At least `limit` matching entries of a partition after a place, if it has as many."""
        request = self._request() | {"Limit": max(limit + 1, READ_LIMIT)}
        values: dict[str, Any] = {":review": partition}
        names = {"#review": "review"}
        if after is not None:
            request["KeyConditionExpression"] += " AND created_at >= :after"
            values[":after"] = after.created_at
        conditions = _conditions(tenant, wanted, whole_seconds(self._clock()))
        for expression, own_names, own_values in conditions:
            names |= own_names
            values |= own_values
            request.setdefault("FilterExpression", "")
            joined = " AND " if request["FilterExpression"] else ""
            request["FilterExpression"] += joined + expression
        request |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        found: list[dict[str, Any]] = []
        reached: _Position | None = None
        for _ in range(QUERIES):
            answer = dynamo.query(self._client, **request)
            found += [
                item for item in answer["Items"] if after is None or _position(tenant, item) > after
            ]
            last = answer.get("LastEvaluatedKey")
            reached = None if last is None else _position(tenant, last)
            if last is None or len(found) >= limit:
                break
            request["ExclusiveStartKey"] = last
        return _Read(sorted(found, key=lambda item: _position(tenant, item)), reached)

    def _all(self, partition: str) -> Iterator[dict[str, Any]]:
        """The entries of a partition, with what they are counted by."""
        request = self._request() | {
            "ProjectionExpression": "created_at, flagged, #language, panel, #policy, claimed_by,"
            " claimed_until, origin",
            "ExpressionAttributeNames": {
                "#review": "review",
                "#language": "language",
                "#policy": "policy",
            },
            "ExpressionAttributeValues": {":review": partition},
        }
        while True:
            answer = dynamo.query(self._client, **request)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def _request(self) -> dict[str, Any]:
        """A query of a partition, `:review`, of the index."""
        return {
            "TableName": self._table,
            "IndexName": INDEX.name,
            "KeyConditionExpression": "#review = :review",
        }


def _groups(tenant: str, severity: Severity | None, order: Order) -> list[list[str]]:
    """The partitions that are read, in groups: one group after the other, each merged by time."""
    severities = list(Severity) if severity is None else [severity]
    groups = [
        [pending_partition(tenant, each, shard) for shard in range(SHARDS)] for each in severities
    ]
    if Severity.LOW in severities:
        groups[-1].append(f"{PENDING}#{tenant}")  # from before there were severities
    return groups if order == "severest" else [[one for group in groups for one in group]]


def _merged(read: Sequence[_Read], limit: int) -> tuple[list[dict[str, Any]], _Position | None]:
    """Up to `limit` entries of all partitions in order, and the place to go on from (None: end).

    Past the place that a partition was read to, it may have entries that come first.
    """
    horizon = min((one.reached for one in read if one.reached is not None), default=None)
    items = sorted((item for one in read for item in one.items), key=_own_position)
    if horizon is not None:
        items = [item for item in items if _own_position(item) <= horizon]
    if len(items) > limit:
        return items[:limit], _own_position(items[limit - 1])
    return items, horizon


def _position(tenant: str, item: Mapping[str, Any]) -> _Position:
    name = str(item["id"]).removeprefix(verdict_key(tenant, ""))
    return _Position(str(item["created_at"]), name)


def _own_position(item: Mapping[str, Any]) -> _Position:
    """As `_position`: verdict ids have no `#`."""
    return _Position(str(item["created_at"]), str(item["id"]).rsplit("#", 1)[-1])


def _conditions(
    tenant: str, wanted: QueueFilter, now: int
) -> list[tuple[str, dict[str, str], dict[str, Any]]]:
    """The conditions of a filter, each with its names and values."""
    equal = {
        "language": wanted.language,
        "policy": wanted.policy,
        "panel": wanted.panel,
        "batch": None if wanted.batch is None else batch_partition(tenant, wanted.batch),
    }
    found: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        (f"#{name} = :{name}", {f"#{name}": name}, {f":{name}": value})
        for name, value in equal.items()
        if value is not None
    ]
    if wanted.category is not None:
        found.append(("contains(flagged, :category)", {}, {":category": wanted.category}))
    if wanted.origin == "undecided":
        found.append(("attribute_not_exists(origin)", {}, {}))
    elif wanted.origin is not None:
        found.append(("origin = :origin", {}, {":origin": wanted.origin}))
    if wanted.reviewer is not None:
        free = (
            "(attribute_not_exists(claimed_until) OR claimed_until <= :now"
            " OR claimed_by = :person)"
            " AND (attribute_not_exists(excluded) OR NOT contains(excluded, :person))"
        )
        found.append((free, {}, {":now": now, ":person": wanted.reviewer}))
    return found


def _if_readable(item: dict[str, Any]) -> dict[str, Any]:
    """The item, if its verdict can be read; raises `ValidationError` if not."""
    verdict_of(item)
    return item


def _appealed(item: Mapping[str, Any]) -> bool:
    return item.get("origin") == "appeal"


def _origin(item: Mapping[str, Any]) -> Origin:
    origin: Origin = item.get("origin", "undecided")
    return origin


def is_takeable(item: Mapping[str, Any], person: str, now: float) -> bool:
    """Whether a person may claim the content of a table item now."""
    claim = claim_of(item, now)
    return person not in excluded_from(item) and (claim is None or claim.reviewer == person)


def _count(counted: Mapping[str, Counter[str]], partition: str, item: Mapping[str, Any]) -> None:
    state = partition.split("#", 1)[0].split(":")
    counted["severity"][state[1] if len(state) > 1 else Severity.LOW] += 1
    counted["origin"][_origin(item)] += 1
    for name in ("language", "policy", "panel"):
        counted[name][str(item.get(name, "unknown"))] += 1
    counted["category"].update(str(one) for one in item.get("flagged", ()))


def _cursor(start: _Start) -> str:
    """The cursor, without the tenant, which the reader's key gives."""
    place = [None, None] if start.after is None else list(start.after)
    return base64.urlsafe_b64encode(json.dumps([start.group, *place]).encode()).decode()


def _start(cursor: str, groups: int) -> _Start:
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        group, created_at, name = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if created_at is not None:
            datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise wrong from error
    if (
        not isinstance(group, int)
        or not 0 <= group < groups
        or (created_at is None) != (name is None)
    ):
        raise wrong
    if created_at is None:
        return _Start(group)
    if not isinstance(name, str) or not may_be_record(name):
        raise wrong
    return _Start(group, _Position(created_at, name))
