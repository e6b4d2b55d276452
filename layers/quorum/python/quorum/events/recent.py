"""The events of the last days, and those that could not be delivered.

A table by tenant and entry, each with its time to live. A partition takes 1,000 write units a
second, and an event takes four, so a tenant's events are spread over `SHARDS` partitions by their
ids, and read together::

    event#<stored at>#<id>            an event, for `GET /events` and `quorum listen`
    kept#<id>                         the event of that id is stored: once, though told again
    dead#<webhook>#<failed at>#<id>   an event that a webhook did not take within a day, and why
"""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable
from quorum.core.errors import InvalidRequest
from quorum.core.models import Frozen
from quorum.events import schema
from quorum.events.schema import Event, EventType
from quorum.events.sending import DeliveryFailure
from quorum.ledger.shards import SHARDS, keys_of, sharded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

PAGE_LIMIT = 100
"""Events of a page."""
KEPT_DAYS = 3
"""Days for which an event can be listed."""
DEAD_DAYS = 14
"""Days for which an event that was not delivered can be sent again."""
SETTLING = timedelta(seconds=2)
"""Time until an event is listed: one that is stored at the same moment may become visible later,
and a page must not end behind it."""
DEPLOYMENT = "-"
"""In the place of a tenant, for events about the whole deployment; no tenant has this id."""
_CURSOR = re.compile(r"[0-9T:.+-]{32}#(evt_[0-9a-f]{32})?")


class EventPage(Frozen):
    """A page of events, the oldest first, and where to read on: also when there is no more yet."""

    events: tuple[Event, ...]
    next: str


class Undelivered(Frozen):
    """An event that a webhook did not take, and why the last try failed."""

    event_id: str
    type: EventType
    failed_at: datetime
    status: int | None = None
    failure: DeliveryFailure


class DeadEvent(NamedTuple):
    """A dead letter with its event and the entry that it is stored under."""

    partition: str
    entry: str
    event: Event
    letter: Undelivered


class RecentEvents:
    """The table of events."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._clock = clock

    # ---- events ------------------------------------------------------------------------------

    def keep(self, event: Event) -> None:
        """Store an event, unless it is stored already; raises `StoreUnavailable`."""
        entry = f"event#{_written(self._now())}#{event.id}"
        stored = self._item(event.tenant or DEPLOYMENT, entry, event, KEPT_DAYS)
        mark = {
            "tenant": stored["tenant"],
            "entry": f"kept#{event.id}",
            "expires_at": stored["expires_at"],
        }
        once = {
            "TableName": self._table,
            "Item": mark,
            "ConditionExpression": "attribute_not_exists(tenant)",
        }
        put = {"TableName": self._table, "Item": stored}
        dynamo.write(self._client, [{"Put": once}, {"Put": put}])

    def page(
        self, tenant: str, *, since: datetime | None, after: str | None, limit: int = PAGE_LIMIT
    ) -> EventPage:
        """Up to `limit` events in the order in which they were stored.

        They start `since` a time, or `after` the `next` of a page; without either with the oldest.
        Raises `InvalidRequest` for an invalid cursor, and `StoreUnavailable`.
        """
        now = self._now()
        if after is None:
            begin = now - timedelta(days=KEPT_DAYS) if since is None else since.astimezone(UTC)
            after = f"{_written(begin)}#"
        elif not _CURSOR.fullmatch(after):
            raise InvalidRequest(
                "next: is not what a page of this list ended with",
                code="invalid_next",
                field="next",
            )
        last = f"{_written(now - SETTLING)}#"
        if after >= last:
            return EventPage(events=(), next=after)
        # BETWEEN has both ends; no event has the whole of a cursor without an id.
        items = self._query(tenant, f"event#{after}", f"event#{last}", limit + 1)
        found = [one for one in items if str(one["entry"]) != f"event#{after}"][:limit]
        if found:
            after = str(found[-1]["entry"]).removeprefix("event#")
        return EventPage(
            events=tuple(dynamo.readable(found, _event, "tenant", "entry")), next=after
        )

    # ---- dead letters ------------------------------------------------------------------------

    def dead_letter(self, tenant: str, webhook: str, event: Event, letter: Undelivered) -> None:
        """Store an event that was not delivered; raises `StoreUnavailable`."""
        entry = f"dead#{webhook}#{_written(letter.failed_at)}#{event.id}"
        item = self._item(tenant, entry, event, DEAD_DAYS)
        item["letter"] = letter.model_dump_json()
        with unavailable("an event could not be stored"):
            dynamo.attempt(self._client.put_item, TableName=self._table, Item=item)

    def dead_letters(self, tenant: str, webhook: str, limit: int) -> Iterator[DeadEvent]:
        """Up to `limit` dead letters of a webhook, the oldest first; raises `StoreUnavailable`."""
        # `$` comes after `#`, and no name of a webhook has either.
        found = self._query(tenant, f"dead#{webhook}#", f"dead#{webhook}$", limit)
        yield from dynamo.readable(found, _dead_event, "tenant", "entry")

    def forget(self, dead: DeadEvent) -> None:
        """Delete a dead letter that is sent again; raises `StoreUnavailable`."""
        with unavailable("a dead letter could not be deleted"):
            dynamo.attempt(
                self._client.delete_item,
                TableName=self._table,
                Key={"tenant": dead.partition, "entry": dead.entry},
            )

    def _item(self, tenant: str, entry: str, event: Event, days: int) -> dict[str, Any]:
        return {
            "tenant": sharded(tenant, crc32(event.id.encode()) % SHARDS),
            "entry": entry,
            "event": event.model_dump_json(),
            "expires_at": int(self._clock()) + days * DAY,
        }

    def _query(self, tenant: str, first: str, last: str, limit: int) -> list[dict[str, Any]]:
        """Up to `limit` items from the `first` entry to the `last`, of all partitions in order."""

        def of(partition: str) -> dict[str, Any]:
            return dynamo.query(
                self._client,
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant AND entry BETWEEN :first AND :last",
                ExpressionAttributeValues={":tenant": partition, ":first": first, ":last": last},
                ConsistentRead=True,
                Limit=limit,
            )

        with ThreadPoolExecutor(SHARDS) as threads:
            answers = list(threads.map(of, keys_of(tenant)))
        found = sorted(
            (one for answer in answers for one in answer["Items"]),
            key=lambda one: str(one["entry"]),
        )
        # A page of large items ends early, and what its partition has behind it is not known.
        ends = [
            str(answer["Items"][-1]["entry"])
            for answer in answers
            if answer.get("LastEvaluatedKey")
        ]
        known = [one for one in found if not ends or str(one["entry"]) <= min(ends)]
        return known[:limit]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _event(item: dict[str, Any]) -> Event:
    return schema.read(str(item["event"]))


def _dead_event(item: dict[str, Any]) -> DeadEvent:
    letter = Undelivered.model_validate_json(str(item["letter"]), extra="ignore")
    return DeadEvent(str(item["tenant"]), str(item["entry"]), _event(item), letter)


def _written(moment: datetime) -> str:
    """A time in UTC to the microsecond, whose text sorts as it does."""
    return moment.isoformat(timespec="microseconds")
