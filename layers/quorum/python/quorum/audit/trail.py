"""The audit trail of every tenant, in a table of its own by tenant and number.

An entry is written in the transaction that makes its change, so there is no change without its
entry and no entry without its change. Each is written on the condition that its number is free.
Where another entry came first, the whole transaction is made anew after that one. Nobody has the
right to change or delete an entry.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import islice
from time import time
from typing import TYPE_CHECKING, Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from quorum.audit.chain import Action, AuditEntry, Change, Link, entry_after
from quorum.aws import dynamo
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

TRYING_SECONDS = 10.0
"""Seconds for which one change is tried while other changes of the tenant are recorded."""
PAGE_LIMIT = 500
"""Entries of a page."""
READ_LIMIT = 1_000
"""Entries that one query looks at; those that do not match count, too."""
QUERIES = 20
"""Queries of one page. Where few entries match, a page ends with fewer than it may hold."""

_FILTERED = ("action", "by", "person", "subject")
"""The fields that an entry is found by."""
_WAIT = wait_random_exponential(multiplier=0.02, max=0.5)


class AuditFilter(Frozen):
    """What listed entries have in common; None does not matter. Days are UTC, both included."""

    action: Action | None = None
    by: str | None = None
    person: str | None = None
    subject: str | None = None
    start: date | None = None
    end: date | None = None


class AuditPage(Frozen):
    """A page of entries, and where the next page starts (None: this is the last).

    A page with a `next` may hold fewer entries than the limit, or none.
    """

    entries: tuple[AuditEntry, ...]
    next: str | None


class _Moved(StoreUnavailable):
    """Another entry took the number first."""


class AuditTrail:
    """The table of audit entries."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._clock = clock

    # ---- writing -----------------------------------------------------------------------------

    def write(self, tenant: str, change: Change, items: list[dict[str, Any]]) -> list[int]:
        """Write `items` and the entry of the change they make, in one transaction.

        As `quorum.aws.dynamo.write`: returns the indexes of the items whose condition failed, and
        if any failed, nothing is written. At most 99 items. Raises `StoreUnavailable`.
        """
        trying = Retrying(
            retry=retry_if_exception_type(_Moved),
            wait=_WAIT,
            stop=stop_after_delay(TRYING_SECONDS),
            reraise=True,
        )
        return trying(self._write, tenant, change, items)

    def record(self, tenant: str, change: Change) -> None:
        """Record a change that is stored outside DynamoDB. Raises `StoreUnavailable`."""
        self.write(tenant, change, [])

    def _write(self, tenant: str, change: Change, items: list[dict[str, Any]]) -> list[int]:
        now = datetime.fromtimestamp(self._clock(), UTC)
        entry = entry_after(tenant, self.last(tenant), change, now)
        failed = dynamo.write(self._client, [*items, self._put(tenant, entry)])
        refused = [index for index in failed if index < len(items)]
        if failed and not refused:
            raise _Moved("the audit trail grows faster than a change can be recorded")
        return refused

    def _put(self, tenant: str, entry: AuditEntry) -> dict[str, Any]:
        fields = entry.model_dump(mode="json", exclude_none=True)
        item = {"tenant": tenant, "number": entry.number, "entry": entry.model_dump_json()}
        item |= {name: fields[name] for name in (*_FILTERED, "at") if name in fields}
        return {
            "Put": {
                "TableName": self._table,
                "Item": item,
                "ConditionExpression": "attribute_not_exists(tenant)",
            }
        }

    # ---- reading -----------------------------------------------------------------------------

    def last(self, tenant: str) -> Link | None:
        """The end of the tenant's chain; None before the first entry. Read consistently.

        Of the entry no more is read, so that code goes on with the chain of newer code.
        """
        found = dynamo.query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": tenant},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=1,
        )["Items"]
        entry = str(found[0]["entry"]) if found else None
        return None if entry is None else Link.model_validate_json(entry, extra="ignore")

    def page(
        self,
        tenant: str,
        wanted: AuditFilter,
        *,
        newest_first: bool = True,
        limit: int = PAGE_LIMIT,
        after: int | None = None,
        queries: int = QUERIES,
    ) -> AuditPage:
        """Up to `limit` entries in the order of their numbers, after the entry numbered `after`.

        A page that has looked at what so many `queries` read ends there. Raises `StoreUnavailable`.
        """
        found: list[AuditEntry] = []
        position: int | None = None
        every = self._queries(tenant, wanted, after, newest_first=newest_first)
        for queried in islice(every, queries):
            entries, position = queried
            found += entries
            if len(found) >= limit:
                return AuditPage(entries=tuple(found[:limit]), next=str(found[limit - 1].number))
        return AuditPage(entries=tuple(found), next=None if position is None else str(position))

    def _queries(
        self, tenant: str, wanted: AuditFilter, after: int | None, *, newest_first: bool
    ) -> Iterator[tuple[list[AuditEntry], int | None]]:
        """The matching entries of each query, and the number it ended at; None: the chain's end."""
        conditions, names, values = _conditions(wanted)
        key = "tenant = :tenant"
        if after is not None:
            key += f" AND #number {'<' if newest_first else '>'} :after"
            values |= {":after": after}
            names |= {"#number": "number"}
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": key,
            "ExpressionAttributeValues": values | {":tenant": tenant},
            "ScanIndexForward": not newest_first,
            "ConsistentRead": True,
            "Limit": READ_LIMIT,
        }
        if names:
            request["ExpressionAttributeNames"] = names
        if conditions:
            request["FilterExpression"] = " AND ".join(conditions)
        for _ in range(QUERIES):
            answer = dynamo.query(self._client, **request)
            last = answer.get("LastEvaluatedKey")
            entries = [_entry(item) for item in answer["Items"]]
            yield entries, None if last is None else int(last["number"])
            if last is None:
                return
            request["ExclusiveStartKey"] = last


def _entry(item: dict[str, Any]) -> AuditEntry:
    """An entry as it was written: its hash covers every field, also one of newer code."""
    return AuditEntry.model_validate_json(str(item["entry"]))


def _conditions(wanted: AuditFilter) -> tuple[list[str], dict[str, str], dict[str, Any]]:
    """The conditions on an entry, with their names and values."""
    equal = {name: str(value) for name in _FILTERED if (value := getattr(wanted, name)) is not None}
    conditions = [f"#{name} = :{name}" for name in equal]
    names = {f"#{name}": name for name in equal}
    values: dict[str, Any] = {f":{name}": value for name, value in equal.items()}
    # Times are written with their day first, so a day compares with them as text.
    if wanted.start is not None:
        conditions.append("#at >= :start")
        values[":start"] = wanted.start.isoformat()
    if wanted.end is not None:
        conditions.append("#at < :past_end")
        values[":past_end"] = f"{wanted.end.isoformat()}U"  # after any T of that day
    if wanted.start is not None or wanted.end is not None:
        names["#at"] = "at"
    return conditions, names, values
