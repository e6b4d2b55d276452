"""Pages of an index, whose entries are listed by time."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any, NamedTuple

from quorum.aws import dynamo
from quorum.core.errors import InvalidRequest
from quorum.core.identifiers import may_be_record


class Index(NamedTuple):
    """An index of a table whose key is `id`: its name, and the field of its partitions.

    Within a partition entries are in the order of `created_at`.
    """

    name: str
    field: str


def read_page(
    client: Any,
    table: str,
    index: Index,
    prefix: str,
    partition: str,
    *,
    limit: int,
    after: str | None,
    newest_first: bool = False,
) -> tuple[list[dict[str, Any]], str | None]:
    """Up to `limit` items of a partition, the oldest first, and the cursor of the next page.

    `prefix` is what the keys of the tenant's entries begin with. `after` is the cursor of this
    page; None for the first. Raises `InvalidRequest` for an invalid cursor, and `StoreUnavailable`.
    """
    start = {} if after is None else {"ExclusiveStartKey": _place(index, prefix, partition, after)}
    found = dynamo.query(
        client,
        TableName=table,
        IndexName=index.name,
        KeyConditionExpression="#partition = :partition",
        ExpressionAttributeNames={"#partition": index.field},
        ExpressionAttributeValues={":partition": partition},
        ScanIndexForward=not newest_first,
        Limit=limit,
        **start,
    )
    last = found.get("LastEvaluatedKey")
    return found["Items"], None if last is None else _cursor(prefix, last)


def _cursor(prefix: str, key: Any) -> str:
    """The cursor: the last key of a page, without the tenant, which the reader's key gives."""
    position = [str(key["id"]).removeprefix(prefix), str(key["created_at"])]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _place(index: Index, prefix: str, partition: str, cursor: str) -> dict[str, str]:
    """The key that `cursor` stands for in a partition; raises `InvalidRequest` if it is invalid."""
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        name, created_at = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise wrong from error
    if not may_be_record(str(name)):
        raise wrong
    return {"id": f"{prefix}{name}", index.field: partition, "created_at": created_at}
