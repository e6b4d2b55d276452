"""The list of a tenant's verdicts, by time, newest first, with filters.

The index `verdicts` has a few partitions for each tenant and day (UTC), because one takes 1,000
verdicts a second; they are read together. It holds what is filtered by, and the verdicts of a page
are read by their keys.
Verdicts stored before there was this index are not listed; those stored before the names of their
metadata were in it are not found by a name alone.
"""

import base64
import binascii
import json
import zlib
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws import dynamo
from quorum.batch.records import LISTED
from quorum.core.errors import InvalidRequest
from quorum.core.identifiers import may_be_record, verdict_key
from quorum.core.models import CategoryName, Decision, Frozen, Verdict
from quorum.core.periods import Period
from quorum.ledger.shards import sharded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.vote.verdicts import Verdicts

PAGE_LIMIT = 100
"""Verdicts of a page: with their votes they fit into a Lambda's answer."""
PARTITIONS = 4
"""Partitions of a tenant's day."""
READ_LIMIT = 250
"""Entries that one query of a partition looks at; those that do not match count, too."""
METADATA_FILTERS = 5
"""Entries of metadata by which one list is filtered."""
QUERIES = 40
"""Looks at all partitions for one page, at most. Where few match, it ends with fewer verdicts."""


class VerdictFilter(Frozen):
    """What listed verdicts have in common; None does not matter.

    `category` is one that is flagged, `policy` the name of a policy, `decision` the panel's own.
    `metadata` are entries that a verdict has, all of them; each is `name=value`, or a `name` whose
    value does not matter.
    """

    decision: Decision | None = None
    category: CategoryName | None = None
    panel: str | None = None
    policy: str | None = None
    language: str | None = None
    metadata: tuple[str, ...] = ()


class VerdictPage(Frozen):
    """A page of verdicts, newest first, and the cursor of the next page (None: it is the last).

    A page with a `next` may hold fewer verdicts than the limit, or none.
    """

    verdicts: tuple[Verdict, ...]
    next: str | None


class _Start(NamedTuple):
    """The place where a page starts: a day, and the entry of that day after which it does.

    Without the id of an entry it starts with those of the time, without a time with the day's last.
    """

    day: date
    created_at: str | None = None
    verdict_id: str | None = None


def entry_fields(tenant: str, verdict: Verdict) -> dict[str, Any]:
    """The fields of a stored verdict by which it is listed and filtered."""
    fields = {
        "listed": _partition(tenant, verdict.created_at.date(), zlib.crc32(verdict.id.encode())),
        "flagged": [name for name, one in verdict.category_scores.items() if one.flagged],
        "panel": verdict.panel,
        "policy": verdict.policy,
        "metadata": [
            digest
            for name, value in verdict.metadata.items()
            for digest in (_digest(name), _digest(name, _text(value)))
        ],
    }
    return fields if verdict.language is None else fields | {"language": verdict.language}


class VerdictList:
    """The verdicts in the index of the Verdicts table."""

    def __init__(
        self, dynamodb: "DynamoDBServiceResource", table: str, verdicts: "Verdicts"
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._verdicts = verdicts

    def page(
        self,
        tenant: str,
        wanted: VerdictFilter,
        period: Period,
        *,
        limit: int = PAGE_LIMIT,
        after: str | None = None,
    ) -> VerdictPage:
        """Up to `limit` verdicts of the `period`, newest first.

        `after` is the `next` of the page before. Raises `InvalidRequest` for an invalid cursor, and
        `StoreUnavailable`.
        """
        start: _Start | None = _first(period) if after is None else _read(after, period)
        ids: list[str] = []
        for _ in range(QUERIES):
            if start is None or len(ids) == limit:
                break
            found, start = self._query(tenant, wanted, period, start, limit - len(ids))
            ids += found
        return VerdictPage(
            verdicts=tuple(self._verdicts.readable(tenant, ids)),
            next=None if start is None else _cursor(start),
        )

    def _query(
        self, tenant: str, wanted: VerdictFilter, period: Period, start: _Start, limit: int
    ) -> tuple[list[str], _Start | None]:
        """Up to `limit` ids from one look at each partition, and where the next one starts."""
        found: list[tuple[str, str]] = []
        looked_to = ""
        for number in range(PARTITIONS):
            partition = _partition(tenant, start.day, number)
            answer = self._entries(partition, wanted, period, start)
            found += [
                (str(one["created_at"]), str(one["id"]).removeprefix(verdict_key(tenant, "")))
                for one in answer["Items"]
            ]
            last = answer.get("LastEvaluatedKey")
            looked_to = max(looked_to, str(last["created_at"]) if last else "")
        # Of times that one partition was not looked at to, nothing is known yet.
        known = sorted((one for one in found if one[0] > looked_to), reverse=True)
        if start.verdict_id is not None:
            after = str(start.created_at), start.verdict_id
            known = [one for one in known if one < after]
        ids = [verdict_id for _, verdict_id in known[:limit]]
        if len(known) > limit:
            return ids, _Start(start.day, *known[limit - 1])
        if looked_to:
            return ids, _Start(start.day, looked_to)
        if start.day <= period.start.date():
            return ids, None
        return ids, _Start(start.day - timedelta(days=1))

    def _entries(
        self, partition: str, wanted: VerdictFilter, period: Period, start: _Start
    ) -> dict[str, Any]:
        """The answer to one query of a partition.

        Entries of one time are read to their end, in whatever number: the next look starts at a
        time, and would find the same ones again.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": LISTED.name,
            "KeyConditionExpression": "#listed = :listed AND created_at BETWEEN :first AND :last",
            "ScanIndexForward": False,
            "Limit": READ_LIMIT,
        }
        conditions = _conditions(wanted)
        names = {"#listed": "listed"} | {f"#{one.field}": one.field for one in conditions}
        values = {
            ":listed": partition,
            ":first": period.start.isoformat(),
            ":last": start.created_at or period.last.isoformat(),
        } | {f":{number}": one.value for number, one in enumerate(conditions)}
        if conditions:
            request["FilterExpression"] = " AND ".join(
                f"contains(#{one.field}, :{number})"
                if one.field in _LISTS
                else f"#{one.field} = :{number}"
                for number, one in enumerate(conditions)
            )
        request |= {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        answer = dynamo.query(self._client, **request)
        found = answer["Items"]
        while (last := answer.get("LastEvaluatedKey")) and last["created_at"] == values[":last"]:
            answer = dynamo.query(self._client, **request, ExclusiveStartKey=last)
            found += answer["Items"]
        return answer | {"Items": found}


class _Condition(NamedTuple):
    """A field of an entry that is filtered by, and the value that it is, or has among others."""

    field: str
    value: str


_LISTS = frozenset({"flagged", "metadata"})
"""The fields of an entry that are lists."""


def _conditions(wanted: VerdictFilter) -> list[_Condition]:
    """The fields of an entry that are filtered by, and their values."""
    fields = {
        "decision": wanted.decision,
        "flagged": wanted.category,
        "panel": wanted.panel,
        "policy": wanted.policy,
        "language": wanted.language,
    }
    given = [_Condition(name, str(value)) for name, value in fields.items() if value is not None]
    return given + [_Condition("metadata", _digest(*_named(one))) for one in wanted.metadata]


def _named(entry: str) -> tuple[str, str | None]:
    """Name and value of the metadata that is filtered by, or the name; raises `InvalidRequest`."""
    name, sign, value = entry.partition("=")
    if not name:
        raise InvalidRequest(
            "metadata: must be a name, as in thread, or a name and a value, as in thread=7",
            code="invalid_metadata",
            field="metadata",
            limit="name=value",
        )
    return (name, value) if sign else (name, None)


def _text(value: Any) -> str:
    """A value of metadata as a query can name it: a text as it is, anything else as in JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def _digest(name: str, value: str | None = None) -> str:
    """An entry of metadata in the index, or its name alone: 128 bits of its hash.

    Metadata may be private.
    """
    entry = name if value is None else f"{name}={value}"
    return sha256(f"{len(name)}:{entry}".encode(errors="replace")).hexdigest()[:32]


def _partition(tenant: str, day: date, number: int) -> str:
    return sharded(f"{tenant}#{day.isoformat()}", number % PARTITIONS)


def _cursor(start: _Start) -> str:
    """The cursor: where the next page starts, without the tenant, which the reader's key gives."""
    position = [start.day.isoformat(), start.created_at, start.verdict_id]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _first(period: Period) -> _Start:
    """Where the first page starts."""
    return _Start(period.last.date(), period.last.isoformat())


def _read(cursor: str, period: Period) -> _Start:
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        day_, created_at, verdict_id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        day = date.fromisoformat(day_)
        if created_at is not None or verdict_id is not None:
            moment = datetime.fromisoformat(created_at).astimezone(UTC)
            within = period.start <= moment < period.end and moment.date() == day
            created_at = moment.isoformat()
        else:
            within = period.start.date() <= day <= period.last.date()
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise wrong from error
    named = verdict_id is None or (isinstance(verdict_id, str) and may_be_record(verdict_id))
    if not within or not named:
        raise wrong
    return _Start(day, created_at, verdict_id)
