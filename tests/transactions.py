"""DynamoDB's transactions: the errors of cancelled ones, and how many a client makes."""

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def transactions(client: Any) -> Iterator[list[int]]:
    """The HTTP status of each transaction that `client` writes while the block lasts."""
    made: list[int] = []

    def note(http_response: Any, **_: Any) -> None:
        made.append(http_response.status_code)

    event = "after-call.dynamodb.TransactWriteItems"
    client.meta.events.register(event, note)
    yield made
    client.meta.events.unregister(event, note)
