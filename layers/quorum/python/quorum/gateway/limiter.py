"""One rate limit per model, shared by every Lambda: requests and tokens a minute.

A model's limit is one item of the Usage table: the line of calls and each tenant's use
(`quorum.gateway.fair_share`, which also keeps one tenant's flood from delaying the others). A large
limit is divided into several such items (`RateLimit.shards`), each with its part of the limit,
because one item takes 250 calls a second: a call goes to any of them. A
reservation books the first free place if its wait is within the caller's patience; otherwise the
caller learns how long to wait. The sustained rate is 96 % of the limit and the bursts are 4 %, so
that no minute, wherever it begins, has more than the limit. (A single call of more than 1 % of the
tokens a minute may exceed that by its own size.)

Concurrency is optimistic: the update succeeds only if the item is still as last seen. While this
environment is the only one that writes it, it knows the item and reads nothing; once others have
written it, it reads the item first, because a failed transaction costs as much as one that
succeeds. An unconditional `ADD` needs no
retries, but could not say when a slot is free in both buckets, and waiting calls would have to
poll; here each writes once. Conflicts are few because admissions are (8 a second at 500 a minute),
and are retried with jitter. A call that has waited in the line checks whether others have
overtaken it, and then waits that much longer.

The same transaction writes an intent: the most that the call may cost, before it is sent. The
ledger's transaction deletes it when the vote is booked. An intent that is left belongs to a Lambda
that died, and is closed as possibly paid (`quorum.ledger.costs`).
"""

import itertools
import random
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import ModelThrottled, StoreUnavailable
from quorum.core.models import Reservation, Tokens
from quorum.gateway.fair_share import Line, RateLimit, State
from quorum.ledger.intents import PICODOLLARS, intent_shard
from quorum.ledger.shards import sharded

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

_SECOND = 1_000_000
"""Microseconds in a second."""
_TRIES = 40
"""Tries at least; a caller with more patience tries until that is used up."""
_FIRST_PAUSE_SECONDS = 0.005
_LONGEST_PAUSE_SECONDS = 0.2


@dataclass(slots=True)
class Limiter:
    """The limits of all models in one table, whose partition key is the string `key`.

    Models not in `limits` have the `default` one. `clock` returns seconds since the epoch. Raises
    `StoreUnavailable` if the table cannot be written: without a limit no call is sent.
    """

    dynamodb: "DynamoDBServiceResource"
    table: str
    limits: Mapping[str, RateLimit] = field(default_factory=dict)
    default: RateLimit = field(default_factory=RateLimit)
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    _written: dict[str, State] = field(default_factory=dict)
    _shared: set[str] = field(default_factory=set)

    def reserve(
        self,
        model: str,
        tokens: int,
        *,
        tenant: str = "-",
        cost_usd: Decimal = Decimal(0),
        patience_seconds: float = 0.0,
    ) -> Reservation:
        """Reserve a place for one request of about `tokens`, within `patience_seconds`.

        Writes the intent `intent#<id>`. Raises `ModelThrottled` with the time to wait if the first
        free place is later than that; then nothing is written.
        """
        limit = self._limit(model)
        shard = random.randrange(limit.shards)  # noqa: S311 - spreads load, not a secret
        line, bucket = Line(limit.of_shard()), sharded(model, shard)
        state = self._last(bucket)
        waited_seconds = 0.0
        for attempt in itertools.count():
            now = round(self.clock() * _SECOND)
            place = line.next_place(state, tenant, tokens, now)
            wait_seconds = (place.starts_at - now) / _SECOND
            if wait_seconds > patience_seconds:
                fresh = self._read(bucket)
                if fresh == state:
                    raise ModelThrottled(
                        f"the rate limit of {model} is reached", retry_after_seconds=wait_seconds
                    )
                state = fresh
                continue
            booked = place.state
            reserved = Reservation(
                uuid.uuid4().hex,
                model,
                tenant,
                tokens,
                wait_seconds,
                overtakes=place.overtakes,
                overtaken=booked.overtaken,
                shard=shard,
            )
            found = self._book(reserved, state, booked, self._intent(reserved, cost_usd))
            if found is booked:
                self._written[bucket] = booked
                return reserved
            if found is not state:
                self._shared.add(bucket)
                if attempt == 0:
                    # Others have written since the item was last seen. It is known now.
                    state = found
                    continue
            # Many callers that begin at once take turns: those with time left wait.
            if attempt + 1 >= _TRIES and waited_seconds >= patience_seconds:
                break
            waited_seconds += self._pause(attempt)
            # The item as it is now, not as before the pause: others have written since.
            state = self._read(bucket)
        raise StoreUnavailable(f"the rate limit of {model} is too contended to be written")

    def wait_seconds(self, model: str, tokens: int) -> float:
        """Seconds that a call of about `tokens` would wait now; nothing is reserved.

        Of a large limit one part is looked at. Raises `StoreUnavailable`.
        """
        now = round(self.clock() * _SECOND)
        line = Line(self._limit(model).of_shard())
        place = line.next_place(self._read(sharded(model, 0)), "-", tokens, now)
        return (place.starts_at - now) / _SECOND

    def moved_back(self, reserved: Reservation) -> Reservation:
        """The reservation after its wait; its `wait_seconds` are what overtaking calls have added.

        Raises `StoreUnavailable`.
        """
        overtaken = reserved.overtaken
        if reserved.wait_seconds > 0 and not reserved.overtakes:
            overtaken = self._read(_bucket_of(reserved)).overtaken
        seconds = (overtaken - reserved.overtaken) / _SECOND
        return replace(reserved, wait_seconds=max(0.0, seconds), overtaken=overtaken)

    def settlement(self, reservation: Reservation, tokens: Tokens) -> list[dict[str, Any]]:
        """The writes for the ledger's transaction that books a paid call with its actual `tokens`.

        One deletes the intent on the condition that it exists, so that a call is settled once. One
        corrects the bucket by the error of the estimate. A concurrent reservation cancels the
        transaction with `TransactionConflict`: retry it.
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
        charge = self._charge(reservation, tokens)
        if charge:
            corrected = ", ".join(f"{name} :charge" for name in _corrected(reservation))
            update = {
                "TableName": self.table,
                "Key": {"key": f"bucket#{_bucket_of(reservation)}"},
                "UpdateExpression": f"ADD {corrected}",
                "ExpressionAttributeValues": {":charge": charge},
            }
            items.append({"Update": update})
        return items

    def settled(self, reservation: Reservation, tokens: Tokens) -> None:
        """Note that the writes of `settlement` are made: the item is known without a read."""
        bucket = _bucket_of(reservation)
        written = self._written.get(bucket)
        if written is not None:
            charge = self._charge(reservation, tokens)
            self._written[bucket] = replace(
                written,
                **{name: getattr(written, name) + charge for name in _corrected(reservation)},
            )

    def release(self, reservation: Reservation) -> None:
        """Give back the tokens of a call known not to be paid, and delete its intent.

        The request itself stays counted: the vendor has seen it. Raises `StoreUnavailable`.
        """
        # If the intent is gone, it was settled or released before.
        dynamo.write(self._client, self.settlement(reservation, Tokens()))
        self.settled(reservation, Tokens())

    @property
    def _client(self) -> Any:
        """The resource's own client, which takes Python values and is safe for threads."""
        return self.dynamodb.meta.client

    def _limit(self, model: str) -> RateLimit:
        return self.limits.get(model, self.default)

    def _charge(self, reservation: Reservation, tokens: Tokens) -> int:
        """Microseconds by which the actual `tokens` take longer (or less long) than estimated."""
        line = Line(self._limit(reservation.model).of_shard())
        return line.tokens.charge(tokens.total - reservation.tokens)

    def _last(self, bucket: str) -> State:
        """The item as this environment wrote it; if others write it as well, as it is now."""
        written = self._written.get(bucket)
        if written is not None and bucket not in self._shared:
            return written
        found = self._read(bucket)
        if found == written:
            self._shared.discard(bucket)
        return found

    def _book(
        self, reserved: Reservation, state: State, booked: State, intent: dict[str, Any]
    ) -> State:
        """Write `booked` and the intent if the item is still `state`; else return the item.

        Every booking changes the requests, and every correction the tokens, so the two show
        whether anything changed.
        """
        attributes = asdict(booked)
        values: dict[str, Any] = {f":{name}": value for name, value in attributes.items()}
        known = "attribute_not_exists(requests_paid_off_at)"
        if state.requests_paid_off_at:
            known = "requests_paid_off_at = :known_requests AND tokens_paid_off_at = :known_tokens"
            values |= {
                ":known_requests": state.requests_paid_off_at,
                ":known_tokens": state.tokens_paid_off_at,
            }
        update = {
            "TableName": self.table,
            "Key": {"key": f"bucket#{_bucket_of(reserved)}"},
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in attributes),
            "ConditionExpression": known,
            "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
            "ExpressionAttributeValues": values,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        items = [{"Update": update}, {"Put": {"TableName": self.table, "Item": intent}}]
        with unavailable(f"the rate limit of {reserved.model} could not be written"):
            try:
                # One try: the conflicting write has most likely changed the item, so read it again.
                self._client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if not dynamo.failed_conditions(error):
                    if dynamo.passes(error):
                        return state  # a conflict does not return the item
                    raise
                found = dynamo.reasons(error)[0].get("Item")
                return _state(dynamo.plain(found)) if found else self._read(_bucket_of(reserved))
        return booked

    def _read(self, bucket: str) -> State:
        key = {"key": f"bucket#{bucket}"}
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
            # No time to live: an intent is settled, or closed as possibly paid.
            "entry": intent_shard(int(reserved.id[0], 16)),
        }

    def _pause(self, attempt: int) -> float:
        """Wait longer after every attempt, up to a limit; returns the seconds waited."""
        doubled = _FIRST_PAUSE_SECONDS * 2 ** min(attempt, _TRIES)
        seconds = random.uniform(0, min(_LONGEST_PAUSE_SECONDS, doubled))  # noqa: S311 - jitter, not a secret
        self.sleep(seconds)
        return seconds


def _bucket_of(reservation: Reservation) -> str:
    """The name of the item with the part of the limit that a reservation is in."""
    return sharded(reservation.model, reservation.shard)


def _corrected(reservation: Reservation) -> list[str]:
    """The attributes that a correction of the estimate changes."""
    if reservation.overtakes:
        return ["tokens_paid_off_at", "reserved_tokens_paid_off_at"]
    return ["tokens_paid_off_at"]


def _state(item: Mapping[str, Any]) -> State:
    """The item as a state; attributes that an older version did not write are missing."""
    numbers = {
        attribute.name: int(item.get(attribute.name, 0))
        for attribute in fields(State)
        if attribute.name != "used"
    }
    used = {tenant: int(use) for tenant, use in item.get("used", {}).items()}
    return State(**numbers, used=used)
