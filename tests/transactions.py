"""Answers of DynamoDB to a transaction that it cancelled."""

from typing import Any

from boto3.dynamodb.types import TypeSerializer
from botocore.exceptions import ClientError


def cancelled(*reasons: dict[str, Any], code: str = "TransactionCanceledException") -> ClientError:
    """The error of a transaction that was cancelled for these reasons, one per entry."""
    response: Any = {"Error": {"Code": code}, "CancellationReasons": list(reasons)}
    return ClientError(response, "TransactWriteItems")


def condition_failed(item: dict[str, Any] | None = None) -> ClientError:
    """The error if the first of two entries fails its condition; it shows the item."""
    sent = {name: TypeSerializer().serialize(value) for name, value in (item or {}).items()}
    reason = {"Code": "ConditionalCheckFailed"} | ({"Item": sent} if item else {})
    return cancelled(reason, {"Code": "None"})


def conflict() -> ClientError:
    """The error if another transaction is writing the item of the first of two entries."""
    return cancelled({"Code": "TransactionConflict"}, {"Code": "None"})
