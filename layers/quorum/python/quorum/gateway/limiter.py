"""One rate limit per model, shared by every Lambda: requests and tokens a minute.

Two GCRA buckets (generic cell rate algorithm, ITU-T I.371) in one item of the Usage table. Each is
one integer: the time, in microseconds, at which all that was admitted will have been paid off at
the sustained rate. A reservation books the first moment both buckets allow, if the caller is
patient enough to wait for it, else it is told how long to wait.

The sustained rate is 96 % of the limit and the burst 4 %, so that no minute, wherever it begins,
sees more than the limit; a bucket of a full minute's burst would let twice the limit through in
one. (A single call of more than 1 % of the tokens a minute may exceed that by its own size.)

Concurrency is optimistic: the update holds only if the item is still as last seen. A failed
condition brings the item as it is, so nobody reads, and the next try knows. An unconditional `ADD`
needs no retries, but could not say when a slot is free in both buckets, and would make waiters
poll; here a waiter writes once. Conflicts are few because admissions are (8 a second at 500 a
minute), and are retried with jitter.

The same transaction writes an intent: what the call may cost, before it is sent. The ledger's
transaction deletes it when the vote is booked; what is left belongs to a Lambda that died, and is
closed as possibly paid (`quorum.ledger.costs`).
"""

import itertools
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from pydantic import Field

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import ModelThrottled, StoreUnavailable
from quorum.core.models import Frozen, Reservation, Tokens
from quorum.ledger.intents import PICODOLLARS, intent_shard

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

_MINUTE = 60_000_000
_SUSTAINED = 0.96
_BURST = 0.04
_TRIES = 40
"""At least; who has more patience tries until it is used up."""
_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.2


class RateLimit(Frozen):
    """What a model's vendor admits a minute."""

    requests_per_minute: int = Field(default=500, ge=1)
    tokens_per_minute: int = Field(default=100_000, ge=1)

    def seconds(self, *, requests: int = 0, tokens: int = 0) -> float:
        """How long it takes until so much is admitted: a burst at once, the rest as it flows."""
        return max(
            0.0,
            *(
                60 * (amount / limit - _BURST) / _SUSTAINED
                for amount, limit in (
                    (requests, self.requests_per_minute),
                    (tokens, self.tokens_per_minute),
                )
            ),
        )


@dataclass(frozen=True, slots=True)
class _Bucket:
    """One GCRA: `unit` microseconds each, `burst` of them at once."""

    unit: float
    burst: float

    def opens_at(self, paid_off_at: int, amount: int) -> int:
        """When `amount` is admitted. Amounts over a quarter of the burst wait no longer for it.

        They would else never pass while small ones keep coming; they are charged in full.
        """
        spare = self.burst - min(amount, max(1.0, self.burst / 4))
        return round(paid_off_at - spare * self.unit)

    def charged(self, amount: int) -> int:
        return round(amount * self.unit)


@dataclass(frozen=True, slots=True)
class _State:
    """The item as last seen; 0 where it does not exist."""

    requests_paid_off_at: int = 0
    tokens_paid_off_at: int = 0


@dataclass(slots=True)
class Limiter:
    """The limits of all models over one table, whose partition key is the string `key`.

    Models not in `limits` have the `default` one. `clock` gives seconds since the epoch. Raises
    `StoreUnavailable` where the table cannot be written: without a limit no call is sent.
    """

    dynamodb: "DynamoDBServiceResource"
    table: str
    limits: Mapping[str, RateLimit] = field(default_factory=dict)
    default: RateLimit = field(default_factory=RateLimit)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _seen: dict[str, _State] = field(default_factory=dict)

    def reserve(
        self,
        model: str,
        tokens: int,
        *,
        tenant: str = "-",
        cost_usd: Decimal = Decimal(0),
        patience_seconds: float = 0.0,
    ) -> Reservation:
        """A place for one request of about `tokens`, within `patience_seconds`.

        Leaves the intent `intent#<id>`. Raises `ModelThrottled` saying how long to wait when the
        first free place is later than that; then nothing is left behind.
        """
        requests, by_token = self._buckets(model)
        state = self._seen.get(model, _State())
        waited_seconds = 0.0
        for attempt in itertools.count():
            now = round(self.clock() * 1_000_000)
            starts_at = max(
                now,
                requests.opens_at(state.requests_paid_off_at, 1),
                by_token.opens_at(state.tokens_paid_off_at, tokens),
            )
            wait_seconds = (starts_at - now) / 1_000_000
            if wait_seconds > patience_seconds:
                fresh = self._read(model)
                if fresh == state:
                    raise ModelThrottled(
                        f"the limit of {model} is reached", retry_after_seconds=wait_seconds
                    )
                state = fresh
                continue
            reserved = Reservation(uuid.uuid4().hex, model, tenant, tokens, wait_seconds)
            booked = _State(
                max(state.requests_paid_off_at, starts_at) + requests.charged(1),
                max(state.tokens_paid_off_at, starts_at) + by_token.charged(tokens),
            )
            found = self._book(reserved, state, booked, self._intent(reserved, cost_usd))
            if found is booked:
                self._seen[model] = booked
                return reserved
            # Many who begin at once take turns; who has time waits for his.
            if attempt + 1 >= _TRIES and waited_seconds >= patience_seconds:
                break
            waited_seconds += self._pause(attempt)
            # As it is now, not as it was before the pause: others have written since.
            state = found if attempt == 0 else self._read(model)
        raise StoreUnavailable(f"the limit of {model} is too contended to be written")

    def settlement(self, reservation: Reservation, tokens: Tokens) -> list[dict[str, Any]]:
        """What the ledger's transaction adds to book a call that was paid, with its real `tokens`.

        Deletes the intent, only if it is there: a call is settled once. Corrects the bucket by
        what the estimate was off. A concurrent reservation cancels the transaction with
        `TransactionConflict`: retry it.
        """
        items: list[dict[str, Any]] = [
            {
                "Delete": {
                    "TableName": self.table,
                    "Key": {"key": f"intent#{reservation.id}"},
                    "ConditionExpression": "attribute_exists(#key)",
                    "ExpressionAttributeNames": {"#key": "key"},
                }
            }
        ]
        _, by_token = self._buckets(reservation.model)
        difference = tokens.total - reservation.tokens
        if difference:
            items.append(
                {
                    "Update": {
                        "TableName": self.table,
                        "Key": {"key": f"bucket#{reservation.model}"},
                        "UpdateExpression": "ADD tokens_paid_off_at :difference",
                        "ExpressionAttributeValues": {":difference": by_token.charged(difference)},
                    }
                }
            )
        return items

    def release(self, reservation: Reservation) -> None:
        """Give back the tokens of a call known not to have been paid; its intent goes with it.

        The request itself stays counted: the vendor has seen it. Raises `StoreUnavailable`.
        """
        # Where the intent is gone, it was settled or released before.
        dynamo.write(self._client, self.settlement(reservation, Tokens()))

    @property
    def _client(self) -> Any:
        """The resource's own client, which takes Python values and may be used by threads."""
        return self.dynamodb.meta.client

    def _buckets(self, model: str) -> tuple[_Bucket, _Bucket]:
        limit = self.limits.get(model, self.default)
        return tuple(  # type: ignore[return-value] # of two, as written
            _Bucket(unit=_MINUTE / (amount * _SUSTAINED), burst=max(1.0, amount * _BURST))
            for amount in (limit.requests_per_minute, limit.tokens_per_minute)
        )

    def _book(
        self, reserved: Reservation, state: _State, booked: _State, intent: dict[str, Any]
    ) -> _State:
        """Write `booked` and the intent if the item is still `state`; else the item as it is."""
        exists = bool(state.requests_paid_off_at)
        known = (
            "requests_paid_off_at = :r AND tokens_paid_off_at = :t"
            if exists
            else "attribute_not_exists(requests_paid_off_at)"
        )
        values = {
            ":requests": booked.requests_paid_off_at,
            ":tokens": booked.tokens_paid_off_at,
        }
        if exists:
            values |= {":r": state.requests_paid_off_at, ":t": state.tokens_paid_off_at}
        update = {
            "TableName": self.table,
            "Key": {"key": f"bucket#{reserved.model}"},
            "UpdateExpression": (
                "SET requests_paid_off_at = :requests, tokens_paid_off_at = :tokens"
            ),
            "ConditionExpression": known,
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        items = [{"Update": update}, {"Put": {"TableName": self.table, "Item": intent}}]
        with unavailable(f"the limit of {reserved.model} could not be written"):
            try:
                # Once: what is in the way has most likely changed the item, so look again.
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if not dynamo.failed_conditions(error):
                    if dynamo.passes(error):
                        return state  # a conflict says nothing of the item
                    raise
                found = dynamo.reasons(error)[0].get("Item")
                return _state(found) if found else self._read(reserved.model)
        return booked

    def _read(self, model: str) -> _State:
        key = {"key": f"bucket#{model}"}
        return _state(dynamo.get(self._client, self.table, key, consistent=True) or {})

    def _intent(self, reserved: Reservation, cost_usd: Decimal) -> dict[str, Any]:
        now = int(self.clock())
        return {
            "key": f"intent#{reserved.id}",
            "tenant": reserved.tenant,
            "model": reserved.model,
            "tokens": reserved.tokens,
            "cost_picodollars": int(cost_usd * PICODOLLARS),
            "created_at": now,
            # No time to live: an intent ends by being settled, or closed as possibly paid.
            "entry": intent_shard(int(reserved.id[0], 16)),
        }

    def _pause(self, attempt: int) -> float:
        """Seconds that were waited: more after every attempt, up to a limit."""
        doubled = _FIRST_PAUSE_SECONDS * 2 ** min(attempt, _TRIES)
        seconds = random.uniform(0, min(_LONGEST_PAUSE_SECONDS, doubled))  # noqa: S311 - jitter, not a secret
        self.sleep(seconds)
        return seconds


def _state(item: Mapping[str, Any]) -> _State:
    return _State(
        _number(item.get("requests_paid_off_at", 0)), _number(item.get("tokens_paid_off_at", 0))
    )


def _number(value: Any) -> int:
    """An item's number; in a cancelled transaction's reasons boto3 leaves it as it travels."""
    return int(value["N"] if isinstance(value, dict) else value)
