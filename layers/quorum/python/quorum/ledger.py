"""Exact money and token counts per day, model and tenant.

An entry is never written alone: it is part of the transaction that makes the vote it pays for
count, so a vote is booked once or not at all.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Protocol

from quorum.models import Abstention, CastVote, Decision, Tokens, Verdict

_COUNTED = (
    "calls",
    "abstentions",
    "input_tokens",
    "cached_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "cost_usd",
    "estimated_cost_usd",
)


def usage_key(day: date, model: str, tenant: str) -> str:
    """The Usage table's key of what `tenant` spent on `model` on `day` (UTC)."""
    return f"usage#{day.isoformat()}#{model}#{tenant}"


def decisions_key(day: date, tenant: str) -> str:
    """The Usage table's key of what was decided for `tenant` on `day` (UTC)."""
    return f"decisions#{day.isoformat()}#{tenant}"


def today() -> date:
    """The ledger's day: UTC."""
    return datetime.now(UTC).date()


def _add(table: str, key: str, amounts: dict[str, Any]) -> dict[str, Any]:
    """The transaction item that adds `amounts` (int or Decimal) to the counters under `key`."""
    return {
        "Update": {
            "TableName": table,
            "Key": {"key": key},
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
            "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
            "ExpressionAttributeValues": {f":{name}": value for name, value in amounts.items()},
        }
    }


class Spending(Protocol):
    """Whatever was paid for: a vote, an abstention, a completion, an examination."""

    @property
    def tokens(self) -> Tokens: ...  # noqa: D102 as in every model
    @property
    def cost_usd(self) -> Decimal: ...  # noqa: D102 as in every model
    @property
    def cost_estimated(self) -> bool: ...  # noqa: D102 as in every model


def paid(table: str, tenant: str, model: str, spent: Spending, *, day: date) -> dict[str, Any]:
    """The transaction item that books what one call of `model` cost."""
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
    return _add(table, usage_key(day, model, tenant), dict(zip(_COUNTED, amounts, strict=True)))


def decided(table: str, tenant: str, verdict: Verdict) -> dict[str, Any]:
    """The transaction item that counts `verdict` and what its cached votes saved."""
    cached = [vote for vote in verdict.votes if isinstance(vote, CastVote) and vote.cached]
    return _add(
        table,
        decisions_key(verdict.created_at.date(), tenant),
        {
            **{str(decision): int(verdict.decision == decision) for decision in Decision},
            "verdict_cost_usd": verdict.cost_usd,
            "calls": verdict.calls,
            "cached_votes": len(cached),
            "saved_tokens": _total_tokens(cached),
            "saved_usd": verdict.saved_usd,
        },
    )


def _total_tokens(votes: Iterable[CastVote]) -> int:
    return sum(vote.tokens.total for vote in votes)
