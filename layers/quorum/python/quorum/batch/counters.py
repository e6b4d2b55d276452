"""A batch's counters, written in the transactions that settle its items.

The counters of an upload are spread over several items (`quorum.ledger.shards`): a batch's record
and further ones beside it. Which one counts an item follows from its index, so that an item that is
dead and revived is counted in the same, and the items of a page together. The list of its items
(the index `batches`) is spread in the same way.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from quorum.core.identifiers import batch_key, batch_partition
from quorum.core.models import Verdict
from quorum.core.position import BatchPosition
from quorum.ledger import ledger
from quorum.ledger.shards import SHARDS, sharded

UNSPREAD_ITEMS = 1_000
"""Items that the record itself counts: those of every batch whose items came in a request."""
NEIGHBOURS = 100
"""Items with neighbouring indexes that are counted in the same shard: a page's."""


class Counter(NamedTuple):
    """One of the items that count a batch."""

    batch: str
    shard: int

    @classmethod
    def of(cls, position: BatchPosition) -> "Counter":
        """The one that counts the item at `position`."""
        unspread = position.index < UNSPREAD_ITEMS
        return cls(position.batch, 0 if unspread else position.index // NEIGHBOURS % SHARDS)

    def key(self, tenant: str) -> dict[str, str]:
        """Its key in the Verdicts table."""
        return {"id": sharded(batch_key(tenant, self.batch), self.shard)}

    def partition(self, tenant: str) -> str:
        """The partition of the items it counts in the index `batches`."""
        return sharded(batch_partition(tenant, self.batch), self.shard)


def spread(batch: str) -> list[Counter]:
    """The counters of an upload that are no record."""
    return [Counter(batch, shard) for shard in range(1, SHARDS)]


def together(record: Mapping[str, Any], shards: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The record with the numbers of all its counters, and the latest of their times."""
    whole = dict(record)
    for shard in shards:
        for name, value in shard.items():
            if name == "last_settled_at":
                whole[name] = max(value, whole.get(name, ""))
            elif isinstance(value, Decimal) and name != "expires_at":
                whole[name] = whole.get(name, Decimal(0)) + value
    return whole


def position_fields(tenant: str, position: BatchPosition | None) -> dict[str, str]:
    """The fields that list an item under its batch, in input order; none without a batch.

    The list is spread like the counters.
    """
    if position is None:
        return {}
    return {"batch": Counter.of(position).partition(tenant), "item": position.padded_index}


def settled(
    table: str,
    tenant: str,
    counter: Counter,
    verdicts: Sequence[Verdict],
    *,
    revived: int,
    now: datetime,
) -> dict[str, Any]:
    """The transaction item that counts `verdicts` in their batch.

    `revived` of them were dead letters before. The item's condition is that the batch exists.
    """
    amounts = ledger.counted(verdicts) | {"settled": len(verdicts), "dead": -revived}
    return counts(table, tenant, counter, amounts, now=now)


def counts(
    table: str, tenant: str, counter: Counter, amounts: dict[str, Any], *, now: datetime
) -> dict[str, Any]:
    """The transaction item that adds `amounts` to one of the batch's counters, at `now`."""
    return {
        "Update": {
            "TableName": table,
            "Key": counter.key(tenant),
            "UpdateExpression": (
                "SET first_settled_at = if_not_exists(first_settled_at, :now),"
                " last_settled_at = :now ADD " + ", ".join(f"#{name} :{name}" for name in amounts)
            ),
            "ConditionExpression": "attribute_exists(id)",
            "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
            "ExpressionAttributeValues": {f":{name}": value for name, value in amounts.items()}
            | {":now": now.isoformat()},
        }
    }
