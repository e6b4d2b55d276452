"""Tables of verdicts and figures for the terminal."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

from quorum.core.models import Abstention, CastVote, Decision, Verdict
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

_COLOURS = {Decision.SAFE: "green", Decision.UNSAFE: "red", Decision.NEEDS_REVIEW: "yellow"}
_SHOWN = 44
"""Characters of a content that a row shows at most."""
_SHOWN_LEAST = 16
"""Characters to which the column of contents is folded in a narrow terminal."""
_GAP = 2
"""Characters between two columns."""


def dollars(amount: Decimal) -> str:
    """Dollars with as many digits as they need, at least micro-dollars."""
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


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table that fits the terminal.

    If not all columns fit, those with the highest `rank` are left out first; rank 0 stays. Cells
    are not folded, unless `least` gives the number of characters to which they may be.
    """

    heading: str
    rank: int = 0
    left: bool = False
    least: int | None = None


class Fitted(NamedTuple):
    """A table no wider than the terminal, and the headings that were left out."""

    table: Table
    left_out: tuple[str, ...]


Cells = Sequence[str]
Section = Sequence[Cells]


def fitted(
    columns: Sequence[Column], sections: Sequence[Section], width: int, *, title: str | None = None
) -> Fitted:
    """A table of all rows without truncated cells: columns are left out until the rest fits.

    If even the columns of rank 0 are too wide, the first is folded.
    """
    cells = [max(map(_width, column), default=0) for column in _by_column(columns, sections)]
    headings = [column.heading for column in columns]
    kept, needed = _chosen(columns, headings, cells, width)
    if len(kept) < len(columns):  # headings of several words need less width on several lines
        headings = [
            textwrap.fill(column.heading, max(_longest_word(column.heading), found))
            for column, found in zip(columns, cells, strict=True)
        ]
        kept, needed = _chosen(columns, headings, cells, width)
    fits = _total(needed, kept) <= width
    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for index in kept:
        column = columns[index]
        folds = column.least is not None or (not fits and index == 0)
        table.add_column(
            headings[index],
            justify="left" if column.left else "right",
            vertical="top",
            overflow="fold",
            no_wrap=not folds,
            min_width=None if folds else needed[index],
        )
    for section in sections:
        table.add_section()
        for row in section:
            table.add_row(*(row[index] for index in kept))
    left_out = tuple(column.heading for index, column in enumerate(columns) if index not in kept)
    return Fitted(table, left_out)


def show(
    console: Console,
    columns: Sequence[Column],
    sections: Sequence[Section],
    *,
    title: str | None = None,
) -> None:
    """Print a table that fits the terminal, and name the columns left out."""
    table, left_out = fitted(columns, sections, console.width, title=title)
    console.print(table)
    if left_out:
        console.print(
            f"[dim]A wider terminal also shows: {escape(', '.join(left_out))}.[/]", highlight=False
        )


def show_verdicts(console: Console, judged: Iterable[tuple[str, Verdict]]) -> None:
    """Print one row per content: the verdict, the votes, the cost and the time."""
    columns = (
        Column("text", left=True, least=_SHOWN_LEAST),
        Column("verdict", left=True),
        Column("score"),
        Column("votes", left=True),
        Column("cost", rank=1),
        Column("ms", rank=2),
    )
    show(console, columns, [[_verdict_cells(content, verdict)] for content, verdict in judged])


def _verdict_cells(content: str, verdict: Verdict) -> Cells:
    shown = content if len(content) <= _SHOWN else content[: _SHOWN - 1] + "…"
    source = {
        "panel": "",
        "cache": " [dim]cached[/]",
        "review": " [dim]reviewed[/]",
        "list": " [dim]listed[/]",
    }
    return (
        escape(shown),
        coloured(verdict.decision),
        f"{verdict.score:.2f}",
        "\n".join(vote_line(vote) for vote in verdict.votes),
        dollars(verdict.cost_usd),
        f"{verdict.latency_ms}{source[verdict.answered_from]}",
    )


def _chosen(
    columns: Sequence[Column], headings: Sequence[str], cells: Sequence[int], width: int
) -> tuple[list[int], list[int]]:
    """The indexes of the columns that fit, and the width of each column in characters."""
    needed = [
        max(_width(heading), found if column.least is None else min(found, column.least))
        for column, heading, found in zip(columns, headings, cells, strict=True)
    ]
    kept = list(range(len(columns)))
    while _total(needed, kept) > width:
        last = max(kept, key=lambda index: columns[index].rank)
        if columns[last].rank == 0:
            break
        kept.remove(last)
    return kept, needed


def _total(needed: Sequence[int], kept: Sequence[int]) -> int:
    return sum(needed[index] + _GAP for index in kept) - _GAP


def _by_column(columns: Sequence[Column], sections: Sequence[Section]) -> Iterator[list[str]]:
    for index in range(len(columns)):
        yield [cells[index] for section in sections for cells in section]


def _longest_word(heading: str) -> int:
    return max(map(len, heading.split()), default=1)


def _width(cell: str) -> int:
    """The characters of a cell's longest line, as a terminal counts them."""
    return max(Text.from_markup(line).cell_len for line in cell.split("\n"))
