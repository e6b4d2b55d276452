"""Batches: stored, counted and read by their tenant only.

A batch is one record of the Verdicts table with its counters. Its items are verdicts or documents,
under ids derived from tenant, batch and index, and listed in input order by the index `batches`. An
item is settled once: by a verdict or a document's result, or by being rejected. A dead letter is
`dead` until it is redriven.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict, Unpack

from pydantic import Field

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable
from quorum.aws.index_pages import Index, read_page
from quorum.batch import counters
from quorum.batch.counters import Counter, position_fields
from quorum.batch.progress import BatchRecord, BatchView, Kind, view_of
from quorum.core.errors import NotFound
from quorum.core.identifiers import batch_key, item_id_of, verdict_key
from quorum.core.models import Frozen, is_none
from quorum.core.position import INDEX_DIGITS, BatchPosition
from quorum.ledger import ledger, listing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

LISTED = Index("verdicts", "listed")
"""A tenant's batches by time, in a partition of their own; those of its days are verdicts'."""
LIST_LIMIT = 20
"""Batches of one page of the list: of each the record, its counters and its cost are read."""
PAGE_LIMIT = 500
"""Results of one page: with their votes about 1.5 MB, of the 6 MB a Lambda may answer."""
PAGE_BYTES = 3 * 1024 * 1024
"""Bytes of one page, where answers are long: API Gateway quotes the page in JSON once more."""
_TOGETHER = 90
_BATCH_ID = re.compile(r"[0-9a-f]{32}")


class FailedItem(NamedTuple):
    """An item that gets no verdict (`rejected`) or none yet (`dead`), with the reason."""

    position: BatchPosition
    reason: Mapping[str, Any]


class DeadLetter(Frozen):
    """Why an item has no verdict yet, since when, and its caller's id where that is known."""

    reason: str
    at: str
    id: str | None = Field(default=None, exclude_if=is_none)


class Facts(TypedDict, total=False):
    """The fields of a batch's record that change while it runs (`BatchRecord`)."""

    received: bool
    items: int
    run: int
    execution: str
    ended: int
    cancelled_at: str
    paused_until: str
    alerted_at: str
    last_problem: str
    problem_passes: bool
    waits: int
    done_at_wait: int
    results: str


class Batches:
    """The batches of the Verdicts table, which are kept for `days`."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        *,
        days: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, and threads share it
        self._table = table
        self._usage_table = usage_table
        self._days = days
        self._clock = clock

    # ---- written -----------------------------------------------------------------------------

    def create(  # noqa: PLR0913 the fields of a record
        self,
        tenant: str,
        batch: str,
        *,
        kind: Kind,
        items: int,
        panel: str | None = None,
        policy: str | None = None,
        work: str | None = None,
        alert_usd: Decimal | None = None,
        upload: str | None = None,
    ) -> None:
        """Store a new batch in the state `receiving`; an existing one is left as it is.

        It has a panel and a policy for its contents, or `work` (JSON) to be done with its
        documents.
        """
        record: dict[str, Any] = {
            "id": batch_key(tenant, batch),
            "kind": str(kind),
            "source": "items" if upload is None else "upload",
            "items": items,
            "created_at": self._now().isoformat(),
            "listed": _partition(tenant),
            "expires_at": int(self._clock()) + self._days * DAY,
        }
        optional = {"alert_usd": alert_usd, "upload": upload, "panel": panel}
        optional |= {"policy": policy, "work": work}
        record |= {name: value for name, value in optional.items() if value is not None}
        there_already = self._client.exceptions.ConditionalCheckFailedException
        with unavailable("the batch could not be stored"), suppress(there_already):
            dynamo.attempt(
                self._client.put_item,
                TableName=self._table,
                Item=record,
                ConditionExpression="attribute_not_exists(id)",
            )

    def spread_counters(self, tenant: str, batch: str) -> None:
        """Create the counters beside the record that an upload has; existing ones stay."""
        expires_at = int(self._clock()) + self._days * DAY
        with unavailable("the batch's counters could not be stored"):
            for counter in counters.spread(batch):
                dynamo.attempt(
                    self._client.update_item,
                    TableName=self._table,
                    Key=counter.key(tenant),
                    UpdateExpression="SET expires_at = if_not_exists(expires_at, :expires)",
                    ExpressionAttributeValues={":expires": expires_at},
                )

    def note(self, tenant: str, batch: str, **facts: Unpack[Facts]) -> None:
        """Set fields of the batch's record."""
        with unavailable("the batch could not be stored"):
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key={"id": batch_key(tenant, batch)},
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in facts),
                ConditionExpression="attribute_exists(id)",
                ExpressionAttributeNames={f"#{name}": name for name in facts},
                ExpressionAttributeValues={f":{name}": value for name, value in facts.items()},
            )

    def cancel(self, tenant: str, batch: str) -> BatchRecord:
        """Mark the batch cancelled, so that no more items are begun; returns its record.

        Raises `NotFound`.
        """
        record = self.record(tenant, batch)
        now = self._now().isoformat()
        self.note(tenant, batch, cancelled_at=now)
        return record.model_copy(update={"cancelled_at": now})

    def mark_failed(
        self, tenant: str, kind: Literal["rejected", "dead"], items: Sequence[FailedItem]
    ) -> None:
        """Store and count items of one batch that get no verdict.

        Items that are stored already are left as they are, so each is counted once.
        """
        counted: dict[Counter, list[FailedItem]] = {}
        for one in items:
            counted.setdefault(Counter.of(one.position), []).append(one)
        for counter, of_counter in counted.items():
            for start in range(0, len(of_counter), _TOGETHER):
                some = of_counter[start : start + _TOGETHER]
                if not self._mark_failed(tenant, kind, counter, some) and len(some) > 1:
                    for one in some:
                        self._mark_failed(tenant, kind, counter, [one])

    def _mark_failed(
        self, tenant: str, kind: str, counter: Counter, items: Sequence[FailedItem]
    ) -> bool:
        """Store the items in one transaction; returns False if any exists or the batch does not."""
        expires_at = int(self._clock()) + self._days * DAY
        puts = [
            {
                "Put": {
                    "TableName": self._table,
                    "Item": {
                        "id": verdict_key(tenant, item_id_of(tenant, one.position)),
                        kind: dict(one.reason),
                        "expires_at": expires_at,
                        **position_fields(tenant, one.position),
                    },
                    "ConditionExpression": "attribute_not_exists(id)",
                }
            }
            for one in items
        ]
        counted = counters.counts(self._table, tenant, counter, {kind: len(items)}, now=self._now())
        return self._write([*puts, counted])

    def settle(
        self,
        tenant: str,
        position: BatchPosition,
        document: str,
        amounts: Mapping[str, int | Decimal],
        others: Sequence[dict[str, Any]] = (),
    ) -> bool:
        """Store and count a document's result (JSON) in one transaction, with `others`.

        `others` are further entries of the transaction. Returns whether it was settled now: a
        document that was settled or rejected before is left as it is; a dead one becomes settled.
        Raises `StoreUnavailable`.
        """
        key = verdict_key(tenant, item_id_of(tenant, position))
        item = {
            "id": key,
            "document": document,
            "expires_at": int(self._clock()) + self._days * DAY,
            **position_fields(tenant, position),
        }
        for dead in (False, True):
            held = "attribute_exists(dead)" if dead else "attribute_not_exists(id)"
            put = {"TableName": self._table, "Item": item, "ConditionExpression": held}
            counted = {"settled": 1, "dead": -int(dead), **amounts}
            counter = Counter.of(position)
            counts = counters.counts(self._table, tenant, counter, counted, now=self._now())
            if self._write([{"Put": put}, counts, *others]):
                return True
        return False

    def has_ended(self, tenant: str, position: BatchPosition) -> bool:
        """Whether the item is settled, rejected or dead."""
        key = {"id": verdict_key(tenant, item_id_of(tenant, position))}
        return dynamo.get(self._client, self._table, key, consistent=True) is not None

    def settled(
        self, wanted: Iterable[tuple[str, BatchPosition]]
    ) -> set[tuple[str, BatchPosition]]:
        """The items, of (tenant, position), that are settled or rejected."""
        keys = {
            verdict_key(tenant, item_id_of(tenant, position)): (tenant, position)
            for tenant, position in wanted
        }
        found = dynamo.read(
            self._client, self._table, [{"id": key} for key in sorted(keys)], consistent=True
        )
        return {keys[item["id"]] for item in found if "dead" not in item}

    def revive(self, tenant: str, position: BatchPosition) -> None:
        """Make a dead item pending again; any other item is left as it is."""
        self._write(
            [
                {
                    "Delete": {
                        "TableName": self._table,
                        "Key": {"id": verdict_key(tenant, item_id_of(tenant, position))},
                        "ConditionExpression": "attribute_exists(dead)",
                    }
                },
                counters.counts(
                    self._table, tenant, Counter.of(position), {"dead": -1}, now=self._now()
                ),
            ]
        )

    def _write(self, items: list[dict[str, Any]]) -> bool:
        """Write the transaction; returns whether every condition held."""
        return not dynamo.write(self._client, items)

    # ---- read --------------------------------------------------------------------------------

    def facts(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], BatchRecord]:
        """The records of the batches, of (tenant, batch), that exist, read consistently.

        Of an upload's counters they have one part only: `record` has all.
        """
        items = self._items(wanted)
        return {name: BatchRecord.of(*name, item) for name, item in items.items()}

    def record(self, tenant: str, batch: str) -> BatchRecord:
        """The batch's record with all its counters; raises `NotFound`."""
        found = self._records(tenant, [batch]) if _BATCH_ID.fullmatch(batch) else {}
        if not found:
            raise NotFound("no such batch", code="batch_not_found", field="id")
        return found[batch]

    def page(
        self, tenant: str, *, limit: int = LIST_LIMIT, after: str | None = None
    ) -> tuple[list[BatchRecord], str | None]:
        """Up to `limit` records of the tenant's batches, newest first, and the next page's cursor.

        `after` is the cursor of this page. Batches stored before there was this list are not in it.
        Raises `InvalidRequest` for an invalid cursor, and `StoreUnavailable`.
        """
        prefix = batch_key(tenant, "")
        found, following = read_page(
            self._client,
            self._table,
            LISTED,
            prefix,
            _partition(tenant),
            limit=limit,
            after=after,
            newest_first=True,
        )
        batches = [str(item["id"]).removeprefix(prefix) for item in found]
        records = self._records(tenant, batches)
        return [records[batch] for batch in batches if batch in records], following

    def _records(self, tenant: str, batches: Sequence[str]) -> dict[str, BatchRecord]:
        """The records of the tenant's batches that exist, with all their counters."""
        items = self._items((tenant, batch) for batch in batches)
        spread = {
            batch: [counter.key(tenant) for counter in counters.spread(batch)]
            for (_, batch), item in items.items()
            if "upload" in item
        }
        keys = [key for some in spread.values() for key in some]
        shards = {
            item["id"]: item
            for item in dynamo.read(self._client, self._table, keys, consistent=True)
        }
        return {
            batch: BatchRecord.of(
                tenant,
                batch,
                counters.together(
                    item,
                    [shards[key["id"]] for key in spread.get(batch, []) if key["id"] in shards],
                ),
            )
            for (_, batch), item in items.items()
        }

    def _items(self, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
        """The table's items of the batches that exist."""
        keys = {batch_key(tenant, batch): (tenant, batch) for tenant, batch in wanted}
        found = dynamo.read(
            self._client, self._table, [{"id": key} for key in sorted(keys)], consistent=True
        )
        return {keys[item["id"]]: item for item in found}

    def view(self, record: BatchRecord) -> BatchView:
        """The batch's progress and cost."""
        return view_of(record, self.paid(record.tenant, record.batch), self._now())

    def paid(self, tenant: str, batch: str) -> Decimal:
        """Dollars booked for the batch so far."""
        key = ledger.batch_usage_key(tenant, batch)
        return Decimal(listing.counter(self._client, self._usage_table, key).get("cost_usd", 0))

    def results(
        self, tenant: str, batch: str, *, start: int, limit: int, gaps: bool
    ) -> dict[str, Any]:
        """A page of results in input order, from index `start`.

        Without `gaps` it ends before the first unsettled item, so that a reader that goes on at
        `next` misses none; `next` is None after the last. Raises `NotFound`.
        """
        record = self.record(tenant, batch)
        listed = self._listed(record, start, limit)
        indexes = {int(item["item"]): item["id"] for item in listed}
        if not gaps:
            unbroken = range(start, start + limit)
            ends = next((index for index in unbroken if index not in indexes), start + limit)
            indexes = {index: key for index, key in indexes.items() if index < ends}
        keys = [{"id": key} for key in indexes.values()]
        entries = {item["id"]: item for item in dynamo.read(self._client, self._table, keys)}
        # The index lags behind the table: an item that was just revived may be listed but gone.
        shown: list[dict[str, Any]] = []
        size = 0
        for index, key in sorted(indexes.items()):
            entry = entries.get(key, {})
            size += len(json.dumps(entry.get("document", "")))  # every character as it travels
            if shown and size > PAGE_BYTES:
                indexes = {known: name for known, name in indexes.items() if known < index}
                break
            if entry:
                shown.append(_shown(index, entry))
        following = max(indexes, default=start - 1) + 1
        ended = following >= record.items and record.received
        return {"items": shown, "next": None if ended else following}

    def _listed(self, record: BatchRecord, start: int, limit: int) -> list[dict[str, Any]]:
        """The keys of up to `limit` items from index `start`, in input order."""
        spread = [] if record.upload is None else counters.spread(record.batch)
        found: list[dict[str, Any]] = []
        for counter in (Counter(record.batch, 0), *spread):
            found += dynamo.query(
                self._client,
                TableName=self._table,
                IndexName="batches",
                KeyConditionExpression="#batch = :batch AND #item >= :start",
                ExpressionAttributeNames={"#batch": "batch", "#item": "item"},
                ExpressionAttributeValues={
                    ":batch": counter.partition(record.tenant),
                    ":start": f"{start:0{INDEX_DIGITS}d}",
                },
                Limit=limit,
            )["Items"]
        return sorted(found, key=lambda item: str(item["item"]))[:limit]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _partition(tenant: str) -> str:
    """The partition of the tenant's batches in the index `LISTED`; verdicts have days there."""
    return f"{tenant}#batches"


def _shown(index: int, entry: Mapping[str, Any]) -> dict[str, Any]:
    """One result: a verdict, a document's result, or the reason why there is none."""
    for kind in ("verdict", "document"):
        if kind in entry:
            return {"index": index, kind: json.loads(entry[kind])}
    kind = "rejected" if "rejected" in entry else "dead"
    return {"index": index, kind: _plain(entry[kind])}


def _plain(reason: Mapping[str, Any]) -> dict[str, Any]:
    """The reason with plain numbers in place of DynamoDB's Decimals."""
    return {
        name: int(value) if isinstance(value, Decimal) else value for name, value in reason.items()
    }
