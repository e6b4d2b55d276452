"""A batch's counters, written in the transactions that settle its items."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from quorum.core.identifiers import batch_key, batch_partition
from quorum.core.models import Verdict
from quorum.core.position import BatchPosition
from quorum.ledger import ledger


def position_fields(tenant: str, position: BatchPosition | None) -> dict[str, str]:
    """The fields that list an item under its batch, in input order; none without a batch."""
    if position is None:
        return {}
    return {
        "batch": batch_partition(tenant, position.batch),
        "item": position.padded_index,
    }


def settled(
    table: str, tenant: str, batch: str, verdicts: Sequence[Verdict], *, revived: int, now: datetime
) -> dict[str, Any]:
    """The transaction item that counts `verdicts` in their batch.

    `revived` of them were dead letters before. The item's condition is that the batch exists.
    """
    amounts = ledger.counted(verdicts) | {"settled": len(verdicts), "dead": -revived}
    return counts(table, tenant, batch, amounts, now=now)


def counts(
    table: str, tenant: str, batch: str, amounts: dict[str, Any], *, now: datetime
) -> dict[str, Any]:
    """The transaction item that adds `amounts` to the batch's counters, at `now`."""
    return {
        "Update": {
            "TableName": table,
            "Key": {"id": batch_key(tenant, batch)},
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
