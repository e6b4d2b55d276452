"""Pages of the index `reviews`, which lists labels and suggestions by time."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from quorum.aws import dynamo
from quorum.core.errors import InvalidRequest
from quorum.core.identifiers import may_be_record


def read_page(
    client: Any, table: str, prefix: str, partition: str, *, limit: int, after: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """Up to `limit` items of a partition, the oldest first, and the cursor of the next page.

    `after` is the cursor of this page; None for the first. Raises `InvalidRequest` for an invalid
    cursor, and `StoreUnavailable`.
    """
    start = {} if after is None else {"ExclusiveStartKey": position_in(prefix, partition, after)}
    found = dynamo.query(
        client,
        TableName=table,
        IndexName="reviews",
        KeyConditionExpression="#review = :review",
        ExpressionAttributeNames={"#review": "review"},
        ExpressionAttributeValues={":review": partition},
        Limit=limit,
        **start,
    )
    last = found.get("LastEvaluatedKey")
    return found["Items"], None if last is None else cursor_of(prefix, last)


def cursor_of(prefix: str, key: Any) -> str:
    """The cursor: the last key of a page, without the tenant, which the reader's key gives.

    `prefix` is what the keys of the tenant's entries begin with.
    """
    position = [str(key["id"]).removeprefix(prefix), str(key["created_at"])]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def position_in(prefix: str, partition: str, cursor: str) -> dict[str, str]:
    """The key that `cursor` stands for in a partition; raises `InvalidRequest` if it is invalid."""
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        name, created_at = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError, TypeError) as error:
        raise wrong from error
    if not may_be_record(str(name)):
        raise wrong
    return {"id": f"{prefix}{name}", "review": partition, "created_at": created_at}
