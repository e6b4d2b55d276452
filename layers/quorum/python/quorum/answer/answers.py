"""The answer cache, with the cost of every answer and the savings of every hit.

An answer is cached under everything it depends on, for its tenant alone, until it expires. Hits and
misses are counted as they happen, in the ledger's day. The savings of a hit are the actual cost of
the cached answer.
"""

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.answer.questions import Answered
from quorum.aws import dynamo
from quorum.core import registry
from quorum.core.models import Dollars, Frozen, Tokens
from quorum.ledger import ledger, shards
from quorum.ledger.telemetry import cost_booked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.answer.questions import Question
    from quorum.core.models import Reservation
    from quorum.gateway.limiter import Limiter

KEEP_BYTES = 300 * 1024
"""Bytes of an answer above which it is not cached: an item holds 400 KiB."""


class Paid(NamedTuple):
    """The cost of a call that gave no answer."""

    tokens: Tokens
    cost_usd: Decimal
    cost_estimated: bool


class Bill(NamedTuple):
    """The tenant and the model of a call, and the `batch` and the work it was `bought_for`."""

    tenant: str
    model: str
    batch: str | None = None
    bought_for: str | None = None


class Statistics(Frozen):
    """The answer cache from `start` to `end`, both included, UTC; as counted, not estimated.

    `hits` and `misses` count questions whose answer may be cached; others are `not_cacheable`.
    """

    start: date
    end: date
    hits: int
    misses: int
    not_cacheable: int
    hit_rate: float | None
    saved_tokens: int
    saved_usd: Dollars


def key_of(tenant: str, question: "Question") -> str:
    """A digest of all an answer depends on: tenant, model, messages, sampling and reply form."""
    asked = question.model_dump(mode="json") | {"model": registry.model(question.model).name}
    written = json.dumps([tenant, asked], sort_keys=True, ensure_ascii=False)
    return sha256(written.encode(errors="replace")).hexdigest()


class Answers:
    """The Answers table, and the counters of its use in the Usage table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        usage_table: str,
        limiter: "Limiter",
        *,
        seconds: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, and threads share it
        self._table = table
        self._usage_table = usage_table
        self._limiter = limiter
        self._seconds = seconds
        self._clock = clock

    def find(self, key: str, bought_for: str | None = None) -> Answered | None:
        """The cached answer, marked `cached` and without cost; raises `StoreUnavailable`.

        An answer that was bought for the same work comes back with its cost, and is no saving: work
        that is repeated after a crash costs the same.
        """
        found = dynamo.get(self._client, self._table, {"answer_key": key}, consistent=True)
        # DynamoDB deletes expired items only after a while.
        if found is None or int(found["expires_at"]) <= self._clock():
            return None
        answer = Answered.model_validate_json(found["answer"], extra="ignore")
        if bought_for is not None and found.get("bought_for") == bought_for:
            return answer
        free = {"cached": True, "cost_usd": Decimal(0), "saved_usd": answer.cost_usd}
        return answer.model_copy(update=free | {"latency_ms": 0, "first_token_ms": None})

    def book(
        self,
        bill: Bill,
        answer: Answered,
        reservation: "Reservation | None",
        *,
        key: str | None,
        keep: bool,
    ) -> None:
        """Book an answer, end its reservation and cache it under `key`, in one transaction.

        Without a `key` it is not to be cached; `keep` is False for an incomplete one. Raises
        `StoreUnavailable`; the intent then stays, as a cost that was possibly paid.
        """
        counter = {"not_cacheable" if key is None else "misses": 1}
        items = [
            ledger.answered(self._usage_table, bill.tenant, counter, day=ledger.today()),
            *self._paid(bill, answer, reservation),
        ]
        if keep and key is not None:
            items += self._kept(key, answer, bill.bought_for)
        self._write(items)
        self._booked(answer, reservation)

    def book_failure(self, bill: Bill, paid: Paid, reservation: "Reservation | None") -> None:
        """Book the cost of a call without an answer; raises as `book`."""
        self._write(self._paid(bill, paid, reservation))
        self._booked(paid, reservation)

    def _booked(self, paid: Answered | Paid, reservation: "Reservation | None") -> None:
        cost_booked(paid)
        if reservation is not None:
            self._limiter.settled(reservation, paid.tokens)

    def _kept(self, key: str, answer: Answered, bought_for: str | None) -> list[dict[str, Any]]:
        written = answer.model_dump_json()
        if len(written.encode(errors="replace")) > KEEP_BYTES:
            return []
        item: dict[str, Any] = {
            "answer_key": key,
            "answer": written,
            "expires_at": int(self._clock()) + self._seconds,
        }
        if bought_for is not None:
            item["bought_for"] = bought_for
        return [{"Put": {"TableName": self._table, "Item": item}}]

    def _paid(
        self, bill: Bill, paid: Answered | Paid, reservation: "Reservation | None"
    ) -> list[dict[str, Any]]:
        table, today = self._usage_table, ledger.today()
        shard = shards.chosen()
        items = ledger.paid(table, bill.tenant, bill.model, paid, day=today, shard=shard)
        if bill.batch is not None:
            items.append(ledger.paid_in_batch(table, bill.tenant, bill.batch, paid, shard=shard))
        if reservation is not None:
            items += self._limiter.settlement(reservation, paid.tokens)
        return items

    def _write(self, items: list[dict[str, Any]]) -> None:
        # If the intent is gone, an earlier try was booked although its answer was lost.
        dynamo.write(self._client, items)

    def hit(self, tenant: str, answer: Answered) -> None:
        """Count a hit and its savings; raises `StoreUnavailable`."""
        saved = {"hits": 1, "saved_tokens": answer.tokens.total, "saved_usd": answer.saved_usd}
        self._write([ledger.answered(self._usage_table, tenant, saved, day=ledger.today())])

    def statistics(self, tenant: str, start: date, end: date) -> Statistics:
        """The statistics of `tenant` from `start` to `end`; raises `StoreUnavailable`."""
        days = [start + timedelta(number) for number in range((end - start).days + 1)]
        keys = [{"key": ledger.answers_key(day, tenant)} for day in days]
        found = dynamo.read(self._client, self._usage_table, keys)
        counters = ("hits", "misses", "not_cacheable", "saved_tokens")
        total = {name: sum(int(item.get(name, 0)) for item in found) for name in counters}
        asked = total["hits"] + total["misses"]
        return Statistics(
            start=start,
            end=end,
            **total,
            hit_rate=total["hits"] / asked if asked else None,
            saved_usd=sum((Decimal(item.get("saved_usd", 0)) for item in found), Decimal(0)),
        )
