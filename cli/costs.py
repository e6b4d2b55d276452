"""`quorum costs`: what was spent on what."""

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.moderate import Where
from cli.service import connect


def costs(
    since: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="the first day; else the month's first"),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="the last day, UTC; else today"),
    ] = None,
    by: Annotated[str, typer.Option(help="model, tenant, decision or day")] = "model",
    where: Where = "local",
    out: Annotated[Path, typer.Option(help="where the report is written")] = Path(
        "cost_report.json"
    ),
) -> None:
    """Show what was booked, and what a call nobody came back from may have cost on top."""
    days = {"from": since, "to": until}
    query = {name: day.date().isoformat() for name, day in days.items() if day is not None}
    service = connect(where)
    report = service.get("costs", by=by, **query)
    out.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    console = Console()
    console.print(cost_table(report))
    for line in summary(report):
        console.print(line)
    console.print(f"[dim]written to {out}[/]")


def cost_table(report: dict[str, Any]) -> Table:
    """One row a model, tenant, decision or day."""
    table = Table(box=None, pad_edge=False)
    table.add_column(str(report["by"]))
    for name in ("calls", "tokens", "booked", "possibly paid", "open", "decisions"):
        table.add_column(name, justify="right")
    for row in (*report["rows"], report["totals"]):
        table.add_row(
            str(row["name"]),
            f"{row['calls']:,}",
            f"{row['input_tokens'] + row['output_tokens']:,}",
            f"${row['cost_usd']}",
            f"${row['possibly_paid_usd']}",
            f"${row['open_usd']}",
            f"{row['decisions']:,}",
        )
    return table


def summary(report: dict[str, Any]) -> list[str]:
    """What the table does not say."""
    totals, each = report["totals"], report["cost_per_decision_usd"]
    rate = report["cache_hit_rate"]
    decisions = ", ".join(f"{count:,} {name}" for name, count in report["decisions"].items())
    hit_rate = "" if rate is None else f" ({rate:.0%} of all)"
    won = f"(₩{report['krw_per_usd']} a dollar, {report['krw_as_of']})"
    saved = f"{totals['saved_tokens']:,} tokens, ${totals['saved_usd']}"
    return [
        f"{report['start']} to {report['end']} (UTC): {report['requests']:,} requests, {decisions}",
        f"${Decimal(each or 0).normalize():f} a decision; ₩{report['cost_krw']} in all {won}",
        f"the cache gave {totals['cached_votes']:,} votes{hit_rate} and saved {saved}",
    ]
