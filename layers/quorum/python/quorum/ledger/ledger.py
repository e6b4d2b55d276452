"""Booked money and tokens per day, model and tenant.

An entry is always part of the transaction that stores the vote or answer it pays for, so a call is
booked once or not at all. Entries that many calls add to are spread (`quorum.ledger.shards`): each
function here that takes a `shard` gives the items of that one.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from quorum.core.errors import InvalidRequest
from quorum.core.models import Abstention, CastVote, Decision, Tokens, Verdict
from quorum.ledger.shards import SHARDS, sharded

LONGEST_DAYS = 366
"""Days of one report."""

COUNTED = (
    "calls",
    "abstentions",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "estimated_cost_usd",
)
"""The counters of every call."""


SPENT_DAYS = 3
"""Days for which a day's sum is kept: budgets ask about today only."""


def usage_key(day: date, model: str, tenant: str) -> str:
    """The Usage table's key of the spending of `tenant` on `model` on `day` (UTC)."""
    return f"usage#{day.isoformat()}#{model}#{tenant}"


def decisions_key(day: date, tenant: str) -> str:
    """The Usage table's key of the decisions for `tenant` on `day` (UTC)."""
    return f"decisions#{day.isoformat()}#{tenant}"


def answers_key(day: date, tenant: str) -> str:
    """The Usage table's key of the answer cache's hits and misses for `tenant` on `day` (UTC)."""
    return f"answers#{day.isoformat()}#{tenant}"


def operation_key(tenant: str, operation: str, model: str) -> str:
    """The Usage table's key of the tokens an operation on documents took, for estimates."""
    return f"operation#{tenant}#{operation}#{model}"


def today() -> date:
    """Today, in UTC."""
    return datetime.now(UTC).date()


def spent_key(day: date, tenant: str = "") -> str:
    """The Usage table's key of what `tenant`, or everybody, has paid on `day` (UTC)."""
    return f"spent#{day.isoformat()}#{tenant}"


def day_entry(day: date, shard: int = 0) -> str:
    """The partition of the entries of `day` in a shard of the index `entries`."""
    return sharded(f"day#{day.isoformat()}", shard)


def day_entries(day: date) -> list[str]:
    """The partitions of all entries of `day`."""
    return [day_entry(day, shard) for shard in range(SHARDS)]


def require_days(start: date, end: date) -> None:
    """Raise `InvalidRequest` unless the days from `start` to `end` make a report."""
    if not timedelta(0) <= end - start < timedelta(LONGEST_DAYS):
        raise InvalidRequest(
            f"to: must not be before from, nor {LONGEST_DAYS} days after it",
            code="invalid_to",
            field="to",
            limit=LONGEST_DAYS,
        )


def batch_usage_key(tenant: str, batch: str) -> str:
    """The Usage table's key of the costs of `batch`."""
    return f"batch#{tenant}#{batch}"


def _add(table: str, key: str, amounts: dict[str, Any], entry: str | None = None) -> dict[str, Any]:
    """The transaction item that adds `amounts` (int or Decimal) to the counters under `key`."""
    listed = "" if entry is None else "SET #entry = :entry "
    names = {f"#{name}": name for name in amounts} | ({"#entry": "entry"} if entry else {})
    values = {f":{name}": value for name, value in amounts.items()}
    return {
        "Update": {
            "TableName": table,
            "Key": {"key": key},
            "UpdateExpression": listed + "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values | ({":entry": entry} if entry else {}),
        }
    }


class Spending(Protocol):
    """Anything that has a cost: a vote, an abstention, a completion, a gateway check-up."""

    @property
    def tokens(self) -> Tokens: ...  # noqa: D102 as in every model
    @property
    def cost_usd(self) -> Decimal: ...  # noqa: D102 as in every model
    @property
    def cost_estimated(self) -> bool: ...  # noqa: D102 as in every model


def paid(
    table: str, tenant: str, model: str, spent: Spending, *, day: date, shard: int
) -> list[dict[str, Any]]:
    """The transaction items that book the cost of one call of `model`, and add it to the day's."""
    key = sharded(usage_key(day, model, tenant), shard)
    booked = _add(table, key, _amounts(spent), day_entry(day, shard))
    if not spent.cost_usd:
        return [booked]
    return [booked, *(_spent(table, day, whose, spent.cost_usd, shard) for whose in (tenant, ""))]


def _spent(table: str, day: date, tenant: str, cost_usd: Decimal, shard: int) -> dict[str, Any]:
    """The transaction item that adds to what `tenant`, or everybody, has paid on `day`."""
    ends = datetime.combine(day + timedelta(SPENT_DAYS), datetime.min.time(), UTC)
    return {
        "Update": {
            "TableName": table,
            "Key": {"key": sharded(spent_key(day, tenant), shard)},
            "UpdateExpression": "SET expires_at = :expires ADD cost_usd :cost_usd",
            "ExpressionAttributeValues": {
                ":expires": int(ends.timestamp()),
                ":cost_usd": cost_usd,
            },
        }
    }


def paid_in_batch(
    table: str, tenant: str, batch: str, spent: Spending, *, shard: int
) -> dict[str, Any]:
    """The transaction item that books the same call to the batch it was made for."""
    return _add(table, sharded(batch_usage_key(tenant, batch), shard), _amounts(spent))


def answered(table: str, tenant: str, amounts: dict[str, Any], *, day: date) -> dict[str, Any]:
    """The transaction item that counts an answer, cached or not (`quorum.answer.answers`)."""
    return _add(table, answers_key(day, tenant), amounts, day_entry(day))


def appeals_key(day: date, tenant: str) -> str:
    """The Usage table's key of the appeals of `tenant` that were made or decided on `day` (UTC)."""
    return f"appeals#{day.isoformat()}#{tenant}"


def appealed(table: str, tenant: str, amounts: dict[str, Any], *, day: date) -> dict[str, Any]:
    """The transaction item that counts an appeal that was made, upheld or overturned."""
    return _add(table, appeals_key(day, tenant), amounts)


def compared_key(tenant: str, policy: str, shadow: str) -> str:
    """The Usage table's key of how a policy and its shadow, as versions, compare."""
    return f"compared#{tenant}#{policy}#{shadow}"


def compared(
    table: str, tenant: str, policy: str, shadow: str, amounts: dict[str, Any], *, shard: int
) -> dict[str, Any]:
    """The transaction item that counts a verdict under a policy and its shadow."""
    return _add(table, sharded(compared_key(tenant, policy, shadow), shard), amounts)


def worked(table: str, tenant: str, operation: str, model: str, tokens: Tokens) -> dict[str, Any]:
    """The transaction item that counts a document and the tokens its answer took."""
    amounts = {"documents": 1, "input_tokens": tokens.input, "output_tokens": tokens.output}
    return _add(table, operation_key(tenant, operation, model), amounts)


def possibly_paid(
    table: str, tenant: str, model: str, cost_usd: Decimal, *, day: date
) -> dict[str, Any]:
    """The transaction item that books a call as possibly paid."""
    amounts = {"possibly_paid_calls": 1, "possibly_paid_usd": cost_usd}
    return _add(table, usage_key(day, model, tenant), amounts, day_entry(day))


def _amounts(spent: Spending) -> dict[str, Any]:
    amounts = (
        1,
        int(isinstance(spent, Abstention)),
        spent.tokens.input,
        spent.tokens.cached_input,
        spent.tokens.output,
        spent.tokens.reasoning,
        spent.cost_usd,
        spent.cost_usd if spent.cost_estimated else Decimal(0),
    )
    return dict(zip(COUNTED, amounts, strict=True))


def decided(
    table: str, tenant: str, verdicts: Sequence[Verdict], *, shard: int
) -> list[dict[str, Any]]:
    """The transaction items, one per day, that count `verdicts` and the savings of cached votes."""
    by_day: dict[date, list[Verdict]] = {}
    for verdict in verdicts:
        by_day.setdefault(verdict.created_at.date(), []).append(verdict)
    return [
        _add(
            table,
            sharded(decisions_key(day, tenant), shard),
            counted(of_day),
            day_entry(day, shard),
        )
        for day, of_day in by_day.items()
    ]


def counted(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The counts, tokens and dollars that `verdicts` add to a tenant's day or to their batch."""
    by_decision = {
        decision: [verdict for verdict in verdicts if verdict.decision is decision]
        for decision in Decision
    }
    cached = [
        vote
        for verdict in verdicts
        for vote in verdict.votes
        if isinstance(vote, CastVote) and vote.cached
    ]
    return {
        **{str(decision): len(found) for decision, found in by_decision.items()},
        **{
            f"{decision}_cost_usd": sum((one.cost_usd for one in found), Decimal(0))
            for decision, found in by_decision.items()
        },
        "verdict_cost_usd": sum((verdict.cost_usd for verdict in verdicts), Decimal(0)),
        "calls": sum(verdict.calls for verdict in verdicts),
        "cached_votes": len(cached),
        "saved_tokens": _total_tokens(cached),
        "saved_usd": sum((verdict.saved_usd for verdict in verdicts), Decimal(0)),
    }


def _total_tokens(votes: Iterable[CastVote]) -> int:
    return sum(vote.tokens.total for vote in votes)
