"""The limits of a key: requests a minute and a month (UTC).

A minute's limit is a bucket (GCRA, as the limits of models are): as many requests as the limit at
once, then one whenever its share of the minute has passed. The item of a key has the time at which
its requests are paid off, and a counter for each month. One conditional write books a request on
both. It is written in one of two ways, for a key that was in use a moment ago and for one that was
not; if the guess was wrong, the failed condition returns the item, and the second write is the
last. A key that is known to be over its limit is refused without a write.

`_CREDIT_SECONDS` of idleness count as use, so that environments that do not know of each other
rarely guess wrong: a key may have that much of its limit more in a minute.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from quorum.aws import dynamo
from quorum.aws.faults import code_of, unavailable
from quorum.core.errors import RateLimited, StoreUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

MINUTE = 60_000_000
"""Microseconds in a minute."""
_SECOND = 1_000_000
"""Microseconds in a second."""
_CREDIT_SECONDS = 3
_PAID_OFF = "requests_paid_off_at"
_REMEMBERED = 10_000
"""Keys whose items an environment remembers."""


class Allowance(NamedTuple):
    """What is left of a limit: `limit` requests, `remaining` of them, whole again in seconds."""

    limit: int
    remaining: int
    reset_seconds: int


@dataclass(frozen=True, slots=True)
class _Item:
    """The item of a key: when its requests are paid off (microseconds), and those of the month."""

    paid_off_at: int = 0
    requests: int = 0

    @classmethod
    def of(cls, item: dict[str, Any], counter: str) -> "_Item":
        return cls(int(item.get(_PAID_OFF, 0)), int(item.get(counter, 0)))


class KeyLimits:
    """The counts of requests in the table of keys' use; `clock` returns seconds since the epoch."""

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
        self._seen: dict[tuple[str, str], _Item] = {}

    def take(
        self, key_hash: str, *, per_minute: int | None, per_month: int | None
    ) -> Allowance | None:
        """Count one request; returns what is left of the limit that is nearer, None without one.

        Raises `RateLimited`, and `StoreUnavailable` if the table cannot be written: a key that has
        a limit is not let in without it.
        """
        if per_minute is None and per_month is None:
            return None
        now = round(self._clock() * _SECOND)
        limits = _Limits(per_minute, per_month, now)
        seen = self._seen.get((key_hash, limits.counter), _Item())
        # The first write may have guessed wrong; the second knows.
        for _ in range(2):
            limits.require(seen)
            booked, found = self._book(key_hash, limits, seen)
            self._remember(key_hash, limits.counter, found)
            if booked:
                return limits.left(found)
            seen = found
        limits.require(seen)
        raise StoreUnavailable("a key's requests changed too often to be counted")

    def _book(self, key_hash: str, limits: "_Limits", seen: _Item) -> tuple[bool, _Item]:
        """Whether the request was counted, and the item as it is now."""
        counter = limits.counter
        with unavailable("a key's requests could not be counted"):
            try:
                answer = dynamo.attempt(
                    self._client.update_item,
                    TableName=self._table,
                    Key={"key_hash": key_hash},
                    ReturnValues="ALL_NEW",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **limits.update(seen),
                )
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                response: dict[str, Any] = dict(error.response)
                return False, _Item.of(dynamo.plain(response.get("Item", {})), counter)
        return True, _Item.of(answer["Attributes"], counter)

    def _remember(self, key_hash: str, counter: str, found: _Item) -> None:
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[key_hash, counter] = found


@dataclass(frozen=True, slots=True)
class _Limits:
    """The limits of a key at a moment, `now` in microseconds since the epoch. Pure."""

    per_minute: int | None
    per_month: int | None
    now: int

    @property
    def counter(self) -> str:
        """The attribute that counts this month's requests."""
        return month_counter(self._moment)

    @property
    def interval(self) -> int:
        """Microseconds between two requests of a key that uses up its limit; rounded up."""
        return 0 if self.per_minute is None else -(-MINUTE // self.per_minute)

    @property
    def latest(self) -> int:
        """The latest time at which earlier requests are paid off, for one more to be let in."""
        return self.now + self.interval * ((self.per_minute or 1) - 1)

    def require(self, item: _Item) -> None:
        """Raise `RateLimited` if the item leaves no request."""
        if self.per_month is not None and item.requests >= self.per_month:
            raise RateLimited(
                f"the key has used its {self.per_month} requests of this month (UTC)",
                code="monthly_limit_reached",
                limit=self.per_month,
                retry_after_seconds=self._rest_of_month_seconds,
            )
        if self.per_minute is not None and item.paid_off_at > self.latest:
            raise RateLimited(
                f"the key may send {self.per_minute} requests a minute",
                code="rate_limited",
                limit=self.per_minute,
                retry_after_seconds=(item.paid_off_at - self.latest) / _SECOND,
            )

    def update(self, seen: _Item) -> dict[str, Any]:
        """The write that counts one request, for an item that is like `seen`."""
        names = {"#counter": self.counter, "#before": month_counter(self._month_before_last)}
        values = {":one": 1}
        changes, conditions = "ADD #counter :one REMOVE #before", []
        if self.per_month is not None:
            conditions.append("(attribute_not_exists(#counter) OR #counter < :per_month)")
            values |= {":per_month": self.per_month}
        if self.per_minute is not None:
            names |= {"#paid_off": _PAID_OFF}
            credit = self.now - _CREDIT_SECONDS * _SECOND
            values |= {":interval": self.interval}
            if seen.paid_off_at >= credit:
                changes = f"SET #paid_off = #paid_off + :interval {changes}"
                conditions.append("#paid_off <= :latest")
                values |= {":latest": self.latest}
            else:
                changes = f"SET #paid_off = :paid_off {changes}"
                conditions.append("(attribute_not_exists(#paid_off) OR #paid_off < :credit)")
                values |= {":paid_off": self.now + self.interval, ":credit": credit}
                del values[":interval"]
        return {
            "UpdateExpression": changes,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def left(self, item: _Item) -> Allowance:
        """What the item leaves of the limit of which fewer requests are left."""
        found = []
        if self.per_minute is not None:
            owed = max(0, item.paid_off_at - self.now)
            remaining = max(0, self.per_minute - -(-owed // self.interval))
            found.append(Allowance(self.per_minute, remaining, math.ceil(owed / _SECOND)))
        if self.per_month is not None:
            remaining = max(0, self.per_month - item.requests)
            found.append(Allowance(self.per_month, remaining, self._rest_of_month_seconds))
        return min(found, key=lambda one: one.remaining)

    @property
    def _moment(self) -> datetime:
        return datetime.fromtimestamp(self.now / _SECOND, UTC)

    @property
    def _month_before_last(self) -> datetime:
        last = self._moment.replace(day=1) - timedelta(days=1)
        return last.replace(day=1) - timedelta(days=1)

    @property
    def _rest_of_month_seconds(self) -> int:
        moment = self._moment
        following = (moment.replace(day=28) + timedelta(days=4)).replace(day=1)
        midnight = following.replace(hour=0, minute=0, second=0, microsecond=0)
        return math.ceil((midnight - moment).total_seconds())


def month_counter(moment: datetime) -> str:
    """The attribute that counts the requests of the month of `moment`, which is in UTC."""
    return f"requests_{moment:%Y-%m}"
