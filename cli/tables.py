"""Verdicts and figures as people read them."""

from collections.abc import Iterable
from decimal import Decimal

from quorum.core.models import Abstention, CastVote, Decision, Verdict
from rich.markup import escape
from rich.table import Table

_COLOURS = {Decision.SAFE: "green", Decision.UNSAFE: "red", Decision.NEEDS_REVIEW: "yellow"}
_SHOWN = 44
"""Characters of a content that a row shows."""


def dollars(amount: Decimal) -> str:
    """Dollars in as many digits as they need, at least micro-dollars."""
    return f"${amount:f}" if amount else "free"


def coloured(decision: Decision) -> str:
    """A decision in its colour."""
    return f"[{_COLOURS[decision]}]{decision}[/]"


def vote_line(vote: CastVote | Abstention) -> str:
    """One vote in a few words."""
    if isinstance(vote, Abstention):
        return f"[dim]{vote.voter} abstained: {vote.reason}[/]"
    cached = " [dim]cached[/]" if vote.cached else ""
    return (
        f"{vote.voter} [{_COLOURS[vote.decision]}]{vote.decision}[/] {vote.confidence:.2f}{cached}"
    )


def verdict_table(judged: Iterable[tuple[str, Verdict]]) -> Table:
    """One row a content: the verdict, who voted what, what it cost and took."""
    table = Table(box=None, pad_edge=False, show_edge=False, row_styles=["", ""])
    table.add_column("text", max_width=_SHOWN, overflow="fold")
    table.add_column("verdict")
    table.add_column("score", justify="right")
    table.add_column("who voted what")
    table.add_column("cost", justify="right")
    table.add_column("ms", justify="right")
    for content, verdict in judged:
        shown = content if len(content) <= _SHOWN else content[: _SHOWN - 1] + "…"
        table.add_row(
            escape(shown),
            coloured(verdict.decision),
            f"{verdict.score:.2f}",
            "\n".join(vote_line(vote) for vote in verdict.votes),
            dollars(verdict.cost_usd),
            f"{verdict.latency_ms}"
            + (" [dim]cached[/]" if verdict.answered_from == "cache" else ""),
        )
    return table
