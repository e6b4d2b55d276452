"""`quorum panel`: what a change of panel would change, before it is deployed."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from cli import evaluation, loading
from cli.recorded import DECISIONS, NONE

app = typer.Typer(help="Look at panels before they are deployed.", no_args_is_help=True)


@app.callback()
def _panel() -> None:
    """Look at panels before they are deployed."""


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    new: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    votes: Annotated[Path, typer.Argument(help="CSV: language,text,gold,<voter>…")],
) -> None:
    """Show which verdicts of recorded votes would change from one panel to another.

    Rows are named by their line in the file (the header is row 1); texts are not shown.
    """
    rows = loading.read_votes(votes, labelled=False)
    before, rows = loading.seat(old, rows)
    after, rows = loading.seat(new, rows)
    with loading.progress_bar("replaying", 2 * len(rows)) as progress:
        first, second = (
            evaluation.replay(panel, rows, {}, progress=lambda: progress.advance(loading.TASK))
            for panel in (before, after)
        )
    table = Table(box=None, pad_edge=False)
    for name in ("row", "language", "gold", "old", "score", "new", "score"):
        table.add_column(name, justify="right" if name in {"row", "score"} else "left")
    changed = evaluation.changes(first, second)
    for row in sorted(int(row) for group in changed.values() for row in group):
        gold = DECISIONS[rows.gold[row]]
        table.add_row(
            str(row + 2),
            str(rows.languages[row]),
            "" if gold is None else str(gold),
            str(DECISIONS[first.decisions[row]]),
            f"{first.scores[row]:.2f}",
            str(DECISIONS[second.decisions[row]]),
            f"{second.scores[row]:.2f}",
        )
    loading.console.print(table)
    for (was, becomes), group in changed.items():
        golds = Counter(str(DECISIONS[code]) for code in rows.gold[group] if code != NONE)
        labels = ", ".join(f"{count} are {gold}" for gold, count in sorted(golds.items()))
        loading.console.print(
            f"{was} → {becomes}: {len(group)}" + (f" ({labels})" if labels else "")
        )
    total = sum(len(group) for group in changed.values())
    loading.console.print(
        f"{total} of {len(rows)} verdicts change from {before.name} {before.version} "
        f"to {after.name} {after.version}"
    )
