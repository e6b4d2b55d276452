"""`quorum costs`: a report of spending by model, tenant, decision or day."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from quorum.ledger.costs import By
from rich.console import Console
from rich.markup import escape

from analysis.counts import counted
from cli import days
from cli.deployment import Where
from cli.output import STANDARD_OUTPUT, AsJson, console, print_json, write_json
from cli.service import connect
from cli.tables import Column, show


def costs(
    since: days.Since = None,
    until: days.Until = None,
    by: Annotated[By, typer.Option(help="what a row is")] = "model",
    where: Where = "local",
    out: Annotated[
        Path | None, typer.Option(help="write the report to this file too, as JSON")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the booked cost, and the most that calls without an answer may add to it."""
    report = connect(where).get("costs", by=by, **days.query(since, until))
    if out is not None:
        write_json(out, report)
    if as_json:
        print_json(report)
    if as_json or out == STANDARD_OUTPUT:
        return
    to = console()
    show_costs(to, report)
    for line in summary(report):
        to.print(line, highlight=False)


MEANINGS = (
    "booked: the cost of answered calls; possibly paid: the most that calls without an answer may"
    " have cost; open: the most that calls under way may cost"
)
"""The meaning of the table's headings."""
COLUMNS = (
    Column("calls", rank=1),
    Column("tokens", rank=2),
    Column("booked"),
    Column("possibly paid", rank=3),
    Column("open", rank=3),
    Column("decisions", rank=4),
)
NOT_COUNTED = {
    "model": frozenset({"decisions"}),
    "decision": frozenset({"calls", "tokens", "possibly paid", "open"}),
}
"""The columns that a report by model or by decision cannot fill: several models make a decision."""


def show_costs(to: Console, report: dict[str, Any]) -> None:
    """Print one row per model, tenant, decision or day, then their sum."""
    missing = NOT_COUNTED.get(report["by"], frozenset())
    counted = [column for column in COLUMNS if column.heading not in missing]
    columns = (Column(str(report["by"]), left=True), *counted)
    rows = [_cells(row, counted) for row in report["rows"]]
    show(to, columns, [rows, [_cells(report["totals"], counted)]])


def _cells(row: dict[str, Any], counted: Sequence[Column]) -> tuple[str, ...]:
    cells = {
        "calls": f"{row['calls']:,}",
        "tokens": f"{row['input_tokens'] + row['output_tokens']:,}",
        "booked": _dollars(row["cost_usd"]),
        "possibly paid": _dollars(row["possibly_paid_usd"]),
        "open": _dollars(row["open_usd"]),
        "decisions": f"{row['decisions']:,}",
    }
    return (escape(str(row["name"])), *(cells[column.heading] for column in counted))


def _dollars(amount: str) -> str:
    """Dollars to the last digit, without trailing zeros."""
    return f"${Decimal(amount).normalize():f}"


def summary(report: dict[str, Any]) -> list[str]:
    """The figures that the table does not show, and the meaning of its headings."""
    totals, each = report["totals"], report["cost_per_decision_usd"]
    rate = report["cache_hit_rate"]
    decisions = ", ".join(f"{count:,} {name}" for name, count in report["decisions"].items())
    hit_rate = "" if rate is None else f" ({rate:.0%} of all)"
    won = f"(₩{report['krw_per_usd']} per dollar, {report['krw_as_of']})"
    saved = f"{counted(totals['saved_tokens'], 'token')}, ${totals['saved_usd']}"
    requests = counted(report["requests"], "request")
    return [
        f"{report['start']} to {report['end']} (UTC): {requests}, {decisions}",
        f"on average {_dollars(each or '0')} per decision; ₩{report['cost_krw']} in total {won}",
        f"the cache gave {counted(totals['cached_votes'], 'vote')}{hit_rate} and saved {saved}",
        MEANINGS,
    ]
