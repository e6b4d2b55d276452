"""Reading the ledger's entries, page by page."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

from quorum.aws import dynamo
from quorum.ledger import ledger
from quorum.ledger.shards import added_up, keys_of

_READERS = 8
"""Partitions read at once: a report of a week has 112, one after the other they took a second."""


def entries(client: Any, table: str, entry: str) -> Iterator[dict[str, Any]]:
    """The items listed under `entry` in the index `entries` of the Usage table.

    Raises `StoreUnavailable`.
    """
    query: dict[str, Any] = {
        "TableName": table,
        "IndexName": "entries",
        "KeyConditionExpression": "#entry = :entry",
        "ExpressionAttributeNames": {"#entry": "entry"},
        "ExpressionAttributeValues": {":entry": entry},
    }
    while True:
        answer = dynamo.query(client, **query)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def entries_of_day(client: Any, table: str, day: date) -> Iterator[dict[str, Any]]:
    """The ledger's entries of `day`, of every shard; raises `StoreUnavailable`."""
    return entries_of(client, table, ledger.day_entries(day))


def entries_of(client: Any, table: str, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The items listed under each of `names`, in their order; raises `StoreUnavailable`."""
    with ThreadPoolExecutor(_READERS) as readers:
        for found in readers.map(lambda name: list(entries(client, table, name)), names):
            yield from found


def counter(client: Any, table: str, key: str, *, consistent: bool = False) -> dict[str, Any]:
    """The sums of a counter that is spread over shards; raises `StoreUnavailable`."""
    keys = [{"key": one} for one in keys_of(key)]
    return dict(added_up(dynamo.read(client, table, keys, consistent=consistent)))
