"""Answers of DynamoDB to a transaction that it cancelled."""

from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError


def cancelled(*reasons: dict[str, Any], code: str = "TransactionCanceledException") -> ClientError:
    """The transaction is cancelled for these reasons, one for each of its entries."""
    response: Any = {"Error": {"Code": code}, "CancellationReasons": list(reasons)}
    return ClientError(response, "TransactWriteItems")


def condition_failed(item: dict[str, Any] | None = None) -> ClientError:
    """The condition of its first entry, of two, does not hold for the item, which is shown."""
    sent = {name: TypeSerializer().serialize(value) for name, value in (item or {}).items()}
    reason = {"Code": "ConditionalCheckFailed"} | ({"Item": sent} if item else {})
    return cancelled(reason, {"Code": "None"})


def conflict() -> ClientError:
    """Another transaction is writing the item of its first entry, of two."""
    return cancelled({"Code": "TransactionConflict"}, {"Code": "None"})
