"""Reads and writes of DynamoDB: transactions, batch reads and queries, with retries.

Clients here are those of boto3's resource: they take and give Python values. A
request that met another transaction or was throttled is sent again, with jitter, for at most
`TRYING_SECONDS`; botocore itself does so for throttles and lost connections only. Every other
failure raises `StoreUnavailable`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar
from uuid import uuid4

from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from quorum.aws.faults import code_of, unavailable
from quorum.aws.telemetry import logger
from quorum.core.errors import StoreUnavailable

DAY = 86_400
"""Seconds in a day."""
TRYING_SECONDS = 3.0
"""Seconds for which one write or read is tried while others write the same items."""

Item = dict[str, Any]
"""One entry of `TransactItems`."""
_T = TypeVar("_T")

CONDITION_FAILED = "ConditionalCheckFailed"
_PASSING_REASONS = frozenset(
    {
        "TransactionConflict",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
    }
)
"""Reasons of a cancelled transaction that may succeed when it is sent again."""
_PASSING_CODES = frozenset(
    {
        # A plain write that meets a transaction on the same item; botocore does not send it again.
        "TransactionConflictException",
        # The same transaction, sent again by botocore while the first is still being written.
        "TransactionInProgressException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
    }
)
_READ_LIMIT = 100
_WAIT = wait_random_exponential(multiplier=0.02, max=0.5)


def reasons(error: BaseException) -> list[dict[str, Any]]:
    """The reason for each entry of a cancelled transaction; empty for any other error."""
    if not isinstance(error, ClientError):
        return []
    response: dict[str, Any] = dict(error.response)
    return list(response.get("CancellationReasons") or [])


def codes(error: BaseException) -> list[str]:
    """The codes of `reasons`; the string `None` for an entry without an error."""
    return [str(reason.get("Code")) for reason in reasons(error)]


def failed_conditions(error: BaseException) -> list[int]:
    """The indexes of a cancelled transaction's entries whose condition did not hold."""
    return [index for index, code in enumerate(codes(error)) if code == CONDITION_FAILED]


def passes(error: BaseException) -> bool:
    """Whether the same request may succeed in a moment.

    A failed condition and a faulty request would fail again.
    """
    found = set(codes(error)) - {"None"}
    return found <= _PASSING_REASONS if found else code_of(error) in _PASSING_CODES


class _Unread(StoreUnavailable):
    """Some of the items asked for were not read."""


def _tries(
    again: Callable[[BaseException], bool] = passes, seconds: float = TRYING_SECONDS
) -> Retrying:
    return Retrying(
        retry=retry_if_exception(again),
        wait=_WAIT,
        stop=stop_after_delay(seconds),
        reraise=True,
    )


def attempt(do: Callable[..., _T], **request: Any) -> _T:
    """`do(**request)`, a client's plain read or write, sent again after errors that pass.

    Raises boto's errors, since only the caller can tell a failed condition of its own.
    """
    return _tries()(do, **request)


def plain(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in Python values: boto3 leaves items in errors as they were sent."""
    return {name: TypeDeserializer().deserialize(value) for name, value in item.items()}


def write(client: Any, items: list[Item]) -> list[int]:
    """Write `items` in one transaction; returns the indexes of those whose condition failed.

    If any failed, nothing is written. A transaction that is sent again after a lost answer has the
    same token, so it is done once. Raises `StoreUnavailable`.
    """
    token = uuid4().hex
    with unavailable("a transaction could not be written"):
        try:
            for trying in _tries():
                with trying:
                    try:
                        client.transact_write_items(TransactItems=items, ClientRequestToken=token)
                    except ClientError as error:
                        if reasons(error):  # nothing was written: the next one is a new transaction
                            token = uuid4().hex
                        raise
        except ClientError as error:
            failed = failed_conditions(error)
            if not failed:
                raise
            return failed
    return []


def read(
    client: Any,
    table: str,
    keys: Iterable[dict[str, Any]],
    *,
    consistent: bool = False,
    seconds: float = TRYING_SECONDS,
) -> list[dict[str, Any]]:
    """The items that exist under `keys`, in any order; raises `StoreUnavailable`.

    What passes is tried again for `seconds`: with 0 it is tried once.
    """
    wanted = list(keys)
    found: list[dict[str, Any]] = []
    with unavailable(f"{table} could not be read"):
        for start in range(0, len(wanted), _READ_LIMIT):
            some = {"Keys": wanted[start : start + _READ_LIMIT], "ConsistentRead": consistent}
            found += _read_some(client, table, some, seconds)
    return found


def _read_some(
    client: Any, table: str, some: dict[str, Any], seconds: float
) -> list[dict[str, Any]]:
    """The items of one request; keys that DynamoDB leaves out are read again, after a pause."""
    found: list[dict[str, Any]] = []
    pending: Any = {table: some}
    for trying in _tries(lambda error: isinstance(error, _Unread), seconds):
        with trying:
            answer = _tries(seconds=seconds)(client.batch_get_item, RequestItems=pending)
            found += answer["Responses"].get(table, [])
            pending = answer.get("UnprocessedKeys")
            if pending:
                raise _Unread(f"{table} leaves items unread")
    return found


def get(
    client: Any, table: str, key: dict[str, Any], *, consistent: bool = False
) -> dict[str, Any] | None:
    """The item under `key`, None if there is none; raises `StoreUnavailable`."""
    with unavailable(f"{table} could not be read"):
        answer = attempt(client.get_item, TableName=table, Key=key, ConsistentRead=consistent)
    found: dict[str, Any] | None = answer.get("Item")
    return found


def query(client: Any, **request: Any) -> dict[str, Any]:
    """One page of a query's answer; raises `StoreUnavailable`."""
    with unavailable(f"{request['TableName']} could not be read"):
        answer: dict[str, Any] = attempt(client.query, **request)
    return answer


def entries(
    client: Any, table: str, owner: tuple[str, str], prefix: str, **more: Any
) -> Iterator[dict[str, Any]]:
    """The entries of a key that begin with `prefix`, read consistently; raises `StoreUnavailable`.

    `owner` is the name of the key and its value; `more` are parameters of the queries.
    """
    name, value = owner
    request: dict[str, Any] = {
        "TableName": table,
        "KeyConditionExpression": "#owner = :owner AND begins_with(entry, :prefix)",
        "ExpressionAttributeNames": {"#owner": name},
        "ExpressionAttributeValues": {":owner": value, ":prefix": prefix},
        "ConsistentRead": True,
    }
    while True:
        page = query(client, **request, **more)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        more["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def readable(items: Iterable[Item], read: Callable[[Item], _T], *key: str) -> Iterator[_T]:
    """What `read` makes of each item; those that it cannot read are logged and left out.

    Newer code may have stored them, and one must not hold up the others. The log names each by the
    attributes of its `key`.
    """
    for item in items:
        try:
            found = read(item)
        except (ValueError, KeyError, TypeError) as error:
            named = {name: str(item.get(name)) for name in key}
            told = {"key": named, "error": type(error).__name__}
            logger.error("a stored entry could not be read", extra=told)
        else:
            yield found


def scan(client: Any, **request: Any) -> Iterator[dict[str, Any]]:
    """All items of a scan, page by page; raises `StoreUnavailable`."""
    more: dict[str, Any] = {}
    while True:
        with unavailable(f"{request['TableName']} could not be read"):
            page: dict[str, Any] = attempt(client.scan, **request, **more)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
