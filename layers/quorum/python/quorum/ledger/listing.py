"""Reading the ledger's entries, page by page."""

from collections.abc import Iterator
from typing import Any

from quorum.aws import dynamo


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
