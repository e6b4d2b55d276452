"""DynamoDB, as the stores use it: writes that happen together or not at all, reads of many items.

Clients here are those of boto3's resource: they take and give Python values.
"""

from collections.abc import Iterable
from typing import Any

from botocore.exceptions import ClientError
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random_exponential

DAY = 86_400
"""Seconds in a day."""
WRITING_SECONDS = 3.0
"""How long a transaction is tried while others write the same counters."""

Item = dict[str, Any]
"""One entry of `TransactItems`."""

_READ_LIMIT = 100


def reasons(error: BaseException) -> list[dict[str, Any]]:
    """Why each entry of a cancelled transaction was cancelled; empty for any other error."""
    if not isinstance(error, ClientError):
        return []
    response: dict[str, Any] = dict(error.response)
    return list(response.get("CancellationReasons", []))


def codes(error: BaseException) -> list[str]:
    """The codes of `reasons`: `None` for an entry nothing was wrong with."""
    return [str(reason.get("Code")) for reason in reasons(error)]


def _collided(error: BaseException) -> bool:
    # A condition that failed will fail again; only a collision is worth another try.
    found = codes(error)
    return "TransactionConflict" in found and "ConditionalCheckFailed" not in found


@retry(
    retry=retry_if_exception(_collided),
    wait=wait_random_exponential(multiplier=0.02, max=0.5),
    stop=stop_after_delay(WRITING_SECONDS),
    reraise=True,
)
def write(client: Any, items: list[Item]) -> None:
    """Write `items` at once; raises boto's errors."""
    client.transact_write_items(TransactItems=items)


def read(
    client: Any, table: str, keys: Iterable[dict[str, Any]], *, consistent: bool = False
) -> list[dict[str, Any]]:
    """Those of the items under `keys` that there are, in no order; raises boto's errors."""
    wanted = list(keys)
    found: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _READ_LIMIT):
        some = {"Keys": wanted[start : start + _READ_LIMIT], "ConsistentRead": consistent}
        pending: Any = {table: some}
        while pending:
            answer = client.batch_get_item(RequestItems=pending)
            found += answer["Responses"].get(table, [])
            pending = answer.get("UnprocessedKeys")
    return found
