"""`quorum replies FILE.jsonl`: how many raw replies of models are read as they were meant."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from quorum.core.errors import ModelRefused, ReplyUnreadable
from quorum.vote import reply
from rich.console import Console
from rich.table import Table

AS_MEANT, UNREADABLE, WRONG = "read as meant", "unreadable", "wrong"


def replies(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="one JSON object a line: `reply`, the decision `expected`, and `model`",
        ),
    ],
    *,
    show: Annotated[bool, typer.Option(help="print the replies not read as meant")] = False,
) -> None:
    """Read every reply and compare with what was meant. Exits 1 if any is read wrongly."""
    console = Console()
    counted: dict[str, Counter[str]] = {}
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = json.loads(line)
            result = read(row["reply"], row["expected"])
            counted.setdefault(row.get("model", "-"), Counter())[result] += 1
            if show and result != AS_MEANT:
                console.print(f"{number}: {result}: {row['reply']!r}", highlight=False)
    table = Table("model", AS_MEANT, UNREADABLE, WRONG)
    for model, results in sorted(counted.items()):
        table.add_row(model, *(str(results[name]) for name in (AS_MEANT, UNREADABLE, WRONG)))
    console.print(table)
    total = sum(counted.values(), Counter[str]())
    console.print(
        f"{total[AS_MEANT]:,} of {total.total():,} read as meant,"
        f" {total[UNREADABLE]:,} unreadable, {total[WRONG]:,} wrong",
        highlight=False,
    )
    raise typer.Exit(1 if total[WRONG] else 0)


def read(text: str, expected: str) -> str:
    """How `text` is read, given that `expected` was meant."""
    try:
        decision = reply.read(text).decision
    except (ReplyUnreadable, ModelRefused):
        return UNREADABLE
    return AS_MEANT if decision == expected else WRONG
