"""`quorum replies FILE.jsonl`: count the raw replies of models that are read as meant."""

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from quorum.core.errors import ModelRefused, ReplyUnreadable
from quorum.vote import reply
from rich.markup import escape

from cli import tables
from cli.errors import CommandFailed, ExitCode
from cli.output import AsJson, console, notes, print_json
from cli.tables import Column

AS_MEANT, UNREADABLE, WRONG = RESULTS = ("read as meant", "unreadable", "wrong")


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
    show: Annotated[
        bool, typer.Option(help="print the replies that are not read as meant")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read every reply and compare it with the expected decision. Exits with 1 if any differs."""
    to = console()
    shown_to = notes if as_json else to
    counted: dict[str, Counter[str]] = {}
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            row = _row(line, number)
            result = read(row["reply"], row["expected"])
            counted.setdefault(row["model"], Counter())[result] += 1
            if show and result != AS_MEANT:
                said = f"{number}: {result}: {row['reply']!r}"
                shown_to.print(said, markup=False, highlight=False, soft_wrap=True)
    total = sum(counted.values(), Counter[str]())
    if as_json:
        print_json({model: dict(results) for model, results in sorted(counted.items())})
    else:
        rows = [
            (escape(model), *(f"{results[name]:,}" for name in RESULTS))
            for model, results in sorted(counted.items())
        ]
        tables.show(to, (Column("model", left=True), *map(Column, RESULTS)), [rows])
        to.print(
            f"{total[AS_MEANT]:,} of {total.total():,} read as meant,"
            f" {total[UNREADABLE]:,} unreadable, {total[WRONG]:,} wrong",
            highlight=False,
        )
    raise typer.Exit(ExitCode.ERROR if total[WRONG] else ExitCode.COMPLETE)


def _row(line: str, number: int) -> dict[str, str]:
    """One line of the file; raises `CommandFailed` naming the line."""
    try:
        row = json.loads(line)
        return {"reply": row["reply"], "expected": row["expected"], "model": row.get("model", "-")}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        raise CommandFailed(
            f"Line {number:,} is not a JSON object with `reply` and `expected`."
        ) from None


def read(text: str, expected: str) -> str:
    """The result of reading `text`, given the `expected` decision."""
    try:
        decision = reply.read(text).decision
    except (ReplyUnreadable, ModelRefused):
        return UNREADABLE
    return AS_MEANT if decision == expected else WRONG
