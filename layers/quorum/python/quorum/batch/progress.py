"""A batch's counters: how far it is, written in the transactions that settle its items."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from quorum.models import Verdict
from quorum.money import ledger
from quorum.vote.case import Place

INDEX_DIGITS = 9
"""An index is stored with leading zeros, so that items sort by it."""


def batch_key(tenant: str, batch: str) -> str:
    """The Verdicts table's key of a batch; another tenant's batch is simply not there."""
    return f"batch#{tenant}#{batch}"


def batch_partition(tenant: str, batch: str) -> str:
    """What the items of a batch have in the index `batches`."""
    return f"{tenant}#{batch}"


def place_fields(tenant: str, place: Place | None) -> dict[str, str]:
    """The fields that list an item under its batch, in input order; none without a batch."""
    if place is None:
        return {}
    return {
        "batch": batch_partition(tenant, place.batch),
        "item": f"{place.index:0{INDEX_DIGITS}d}",
    }


def settled(
    table: str, tenant: str, batch: str, verdicts: Sequence[Verdict], *, revived: int, now: datetime
) -> dict[str, Any]:
    """The transaction item that counts `verdicts` in their batch.

    `revived` of them had been given up as dead letters. Holds only if the batch exists.
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
