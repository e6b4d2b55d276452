"""`quorum cost-model`: what a million verdicts cost, computed from prices with their sources."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from analysis import cost_model
from analysis.cost_model import Cost
from cli.output import AsJson, console, notes, print_json
from cli.tables import Column, show

HIT_RATES = (0.0, 0.5, 1.0)
COLUMNS = (
    Column("panel", left=True),
    Column("stop rule", left=True),
    Column("cached"),
    Column("models"),
    Column("API Gateway", rank=3),
    Column("Lambda", rank=1),
    Column("Step Functions", rank=3),
    Column("DynamoDB", rank=1),
    Column("sum"),
)


class Row(NamedTuple):
    """One line of the table: what was asked how, and its cost."""

    panel: str
    stop: str
    hit_rate: Decimal
    cost: Cost


def cost_model_command(
    panels: Annotated[
        list[str] | None, typer.Option("--panel", help="only this panel; may be repeated")
    ] = None,
    hit_rates: Annotated[
        list[float] | None,
        typer.Option("--hit-rate", min=0, max=1, help="share of cached verdicts; may be repeated"),
    ] = None,
    packed: Annotated[
        int, typer.Option(min=1, max=8, help="contents in one call, if calls were packed")
    ] = 1,
    *,
    plot: Annotated[Path | None, typer.Option(help="draw the costs into this PNG")] = None,
    report: Annotated[Path | None, typer.Option(help="write the page docs/costs.md here")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a million verdicts cost, by panel, stop rule and share of cached verdicts.

    Computed from list prices and measured quantities, not from a bill; nothing is asked.
    """
    rows = list(table(panels, hit_rates or HIT_RATES, packed))
    if report is not None:
        from analysis.cost_page import page  # noqa: PLC0415 - only for the page

        report.write_text(page(), encoding="utf-8")
        notes.print(f"page: {report}", soft_wrap=True)
    if plot is not None:
        from analysis.cost_plot import draw  # noqa: PLC0415 - matplotlib is slow to import

        draw(plot, [(f"{row.panel}\n{row.stop}", row.cost) for row in rows if not row.hit_rate])
        notes.print(f"plot: {plot}", soft_wrap=True)
    if as_json:
        print_json([document(row) for row in rows])
        return
    _show(rows)


def table(panels: Sequence[str] | None, hit_rates: Sequence[float], packed: int) -> Iterator[Row]:
    """The lines of the table. Raises a usage error for a panel that was not measured."""
    known = list(cost_model.uses(packed=packed))
    names = {panel for panel, _, _ in known}
    if unknown := set(panels or ()) - names:
        raise typer.BadParameter(
            f"{', '.join(sorted(unknown))} was not measured; choose {', '.join(sorted(names))}",
            param_hint="--panel",
        )
    for panel, stop, use in known:
        if panels and panel not in panels:
            continue
        for rate in hit_rates:
            share = Decimal(str(rate))
            yield Row(panel, stop, share, cost_model.million(use, share))


def document(row: Row) -> dict[str, object]:
    """A line as JSON; dollars are exact and strings."""
    name, dollars = row.cost.largest
    return {
        "panel": row.panel,
        "stop": row.stop,
        "hit_rate": str(row.hit_rate),
        "cost_usd": {item: str(amount) for item, amount in row.cost.items.items()},
        "models_usd": {model: str(amount) for model, amount in row.cost.by_model.items()},
        "total_usd": str(row.cost.total),
        "largest_avoidable": {"name": name, "usd": str(dollars)},
    }


def _show(rows: Sequence[Row]) -> None:
    to = console()
    cells = [
        (
            row.panel,
            row.stop,
            f"{row.hit_rate:.0%}",
            *(f"{amount:,.1f}" for amount in row.cost.items.values()),
            f"{row.cost.total:,.1f}",
        )
        for row in rows
    ]
    show(to, COLUMNS, [cells], title="Dollars per million verdicts")
    if rows:
        name, dollars = rows[0].cost.largest
        to.print(
            f"\nThe largest avoidable item of {rows[0].panel}, {rows[0].stop}:"
            f" ${dollars:,.1f} for {name}.\nList prices, not a bill; sources: docs/costs.md.",
            highlight=False,
        )
