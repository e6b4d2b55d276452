"""Reports of costs: booked, and possibly paid.

A call writes an intent before it is sent, and the transaction that books it removes the intent. An
intent older than any call can be belongs to a Lambda that crashed in between; nobody knows whether
the gateway billed the call. It is closed as possibly paid, at the highest possible cost, and stays
in the report as such. Younger intents are `open`.
"""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from quorum.aws import dynamo
from quorum.core.models import Decision, Frozen, Money
from quorum.ledger import ledger, listing
from quorum.ledger.intents import INTENT_SHARDS, PICODOLLARS, intent_shard
from quorum.ledger.shards import counter_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

INTENT_SECONDS = 1_200
"""Seconds after which an intent is closed: a Lambda ends after 900."""
By = Literal["model", "tenant", "decision", "day"]

_USAGE = (
    *ledger.COUNTED,
    "possibly_paid_calls",
    "possibly_paid_usd",
    "open_calls",
    "open_usd",
)
_DECIDED = ("decisions", "cached_votes", "saved_tokens", "saved_usd")
_DOLLARS = frozenset(name for name in (*_USAGE, *_DECIDED) if name.endswith("_usd"))


class CostRow(Frozen):
    """The part of one model, tenant, decision or day."""

    name: str
    calls: int = 0
    abstentions: int = 0
    input_tokens: int = 0
    cached_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Money = Decimal(0)
    estimated_cost_usd: Money = Decimal(0)
    possibly_paid_calls: int = 0
    possibly_paid_usd: Money = Decimal(0)
    open_calls: int = 0
    open_usd: Money = Decimal(0)
    decisions: int = 0
    cached_votes: int = 0
    saved_tokens: int = 0
    saved_usd: Money = Decimal(0)


class CostReport(Frozen):
    """Spending from `start` to `end`, both included, UTC.

    `cost_usd` is booked; `possibly_paid_usd` and `open_usd` are upper bounds that come on top. The
    gateway's bill lies between the first and the sum. `requests` counts the verdicts asked for.
    """

    timestamp: datetime
    start: date
    end: date
    by: By
    requests: int
    decisions: dict[Decision, int]
    cost_per_decision_usd: Money | None
    cache_hit_rate: float | None
    cost_krw: Money
    krw_per_usd: Money
    krw_as_of: date
    totals: CostRow
    rows: tuple[CostRow, ...]


class Costs:
    """Reports on the ledger. `krw_per_usd` is the exchange rate of the day `krw_as_of`."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        usage_table: str,
        *,
        krw_per_usd: Decimal,
        krw_as_of: date,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = usage_table
        self._krw_per_usd = krw_per_usd
        self._krw_as_of = krw_as_of
        self._clock = clock

    def report(self, tenant: str | None, start: date, end: date, by: By) -> CostReport:
        """The report on `tenant` (None: all) from `start` to `end`.

        Expired intents are closed first.
        """
        return self.reports(tenant, start, end, (by,))[by]

    def reports(
        self, tenant: str | None, start: date, end: date, parts: Iterable[By]
    ) -> dict[By, CostReport]:
        """The report by each of `parts`; the ledger is read once for all of them."""
        entries = list(self._entries(tenant, start, end))
        return {by: self._report(entries, start, end, by) for by in parts}

    def _report(self, entries: list[dict[str, Any]], start: date, end: date, by: By) -> CostReport:
        totals = _row("total", entries)
        decisions = {
            decision: sum(int(entry.get(decision, 0)) for entry in entries) for decision in Decision
        }
        requests = sum(decisions.values())
        votes = sum(int(e["calls"]) for e in entries if e["kind"] == "decisions")
        votes += totals.cached_votes
        return CostReport(
            timestamp=datetime.fromtimestamp(self._clock(), UTC),
            start=start,
            end=end,
            by=by,
            requests=requests,
            decisions=decisions,
            cost_per_decision_usd=round(totals.cost_usd / requests, 12) if requests else None,
            cache_hit_rate=totals.cached_votes / votes if votes else None,
            cost_krw=round(totals.cost_usd * self._krw_per_usd, 2),
            krw_per_usd=self._krw_per_usd,
            krw_as_of=self._krw_as_of,
            totals=totals,
            rows=tuple(_rows(entries, by)),
        )

    def close_intents(self) -> list[dict[str, Any]]:
        """Close every expired intent as possibly paid; returns those still open.

        Each is closed in one transaction, conditional on the intent: a call is either booked or
        possibly paid, once.
        """
        now = self._clock()
        still_open: list[dict[str, Any]] = []
        shards = map(intent_shard, range(INTENT_SHARDS))
        for intent in listing.entries_of(self._client, self._table, shards):
            if now - int(intent["created_at"]) < INTENT_SECONDS:
                still_open.append(intent)
            else:
                self._close(intent)
        return still_open

    def _close(self, intent: dict[str, Any]) -> None:
        end = {
            "Delete": {
                "TableName": self._table,
                "Key": {"key": intent["key"]},
                "ConditionExpression": "attribute_exists(#key)",
                "ExpressionAttributeNames": {"#key": "key"},
            }
        }
        booked = ledger.possibly_paid(
            self._table,
            intent["tenant"],
            intent["model"],
            _cost(intent),
            day=_day(intent),
        )
        # If the intent is gone, its call was booked meanwhile.
        dynamo.write(self._client, [end, booked])

    def _entries(self, tenant: str | None, start: date, end: date) -> Iterable[dict[str, Any]]:
        """The ledger's entries of those days, each with its `kind`, `day`, `model` and `tenant`."""
        still_open = self.close_intents()
        days = (start + timedelta(number) for number in range((end - start).days + 1))
        shards = (entry for day in days for entry in ledger.day_entries(day))
        for item in listing.entries_of(self._client, self._table, shards):
            kind, day_name, rest = counter_of(item["key"]).split("#", 2)
            model, whose = rest.split("#", 1) if kind == "usage" else ("", rest)
            if tenant in (None, whose):
                yield item | {"kind": kind, "day": day_name, "model": model, "tenant": whose}
        for intent in still_open:
            if tenant in (None, intent["tenant"]) and start <= _day(intent) <= end:
                yield {
                    "kind": "usage",
                    "day": _day(intent).isoformat(),
                    "model": intent["model"],
                    "tenant": intent["tenant"],
                    "open_calls": 1,
                    "open_usd": _cost(intent),
                }


def _cost(intent: dict[str, Any]) -> Decimal:
    return Decimal(intent["cost_picodollars"]) / PICODOLLARS


def _day(intent: dict[str, Any]) -> date:
    return datetime.fromtimestamp(int(intent["created_at"]), UTC).date()


def _rows(entries: list[dict[str, Any]], by: By) -> Iterable[CostRow]:
    if by == "decision":
        for decision in Decision:
            yield CostRow(
                name=decision,
                decisions=sum(int(entry.get(decision, 0)) for entry in entries),
                cost_usd=sum(
                    (Decimal(entry.get(f"{decision}_cost_usd", 0)) for entry in entries), Decimal(0)
                ),
            )
        return
    # No single model makes a decision, so decisions have no row by model.
    listed = [entry for entry in entries if entry[by]]
    for name in sorted({entry[by] for entry in listed}):
        yield _row(name, [entry for entry in listed if entry[by] == name])


def _row(name: str, entries: list[dict[str, Any]]) -> CostRow:
    usage = [entry for entry in entries if entry["kind"] == "usage"]
    decided = [
        entry | {"decisions": sum(int(entry.get(decision, 0)) for decision in Decision)}
        for entry in entries
        if entry["kind"] in {"decisions", "answers"}
    ]
    sums = {
        field: _sum(field, of)
        for fields, of in ((_USAGE, usage), (_DECIDED, decided))
        for field in fields
    }
    return CostRow.model_validate({"name": name} | sums)


def _sum(field: str, entries: Iterable[dict[str, Any]]) -> Decimal | int:
    total = sum((Decimal(entry.get(field, 0)) for entry in entries), Decimal(0))
    return total if field in _DOLLARS else int(total)
