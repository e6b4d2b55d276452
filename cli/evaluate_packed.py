"""`quorum evaluate --packed N`: a panel's figures, asked about each text alone and N in a call."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import typer
from quorum.core import registry
from quorum.vote.panel import Estimate, Panel
from quorum.vote.policy import DEFAULT
from rich.markup import escape

from analysis import gold, packed
from analysis import rows as rows_of_files
from analysis.counts import counted
from analysis.evaluation import Figures
from analysis.packed import Comparison, Pair
from analysis.recorded import NO_LANGUAGE, Recorded, VotesUnreadable
from analysis.rows import FileUnreadable
from cli import entries, loading, record, tables
from cli import policy as policies
from cli.output import console
from cli.tables import Column

COLUMNS = (
    Column("", left=True),
    Column("accuracy"),
    Column("decided accuracy", rank=2),
    Column("review rate"),
    Column("recall", rank=1),
    Column("tokens / text"),
    Column("$ / 1000"),
)
CONCURRENCY = 8
"""Calls at a time, as `quorum record` makes them."""


class Asking(NamedTuple):
    """Who is asked what is not recorded: models put as data, the policy, and its deployment."""

    models: list[str] | None
    policy: str | None
    where: str


def compared(
    votes: Path,
    name: str,
    number: int,
    packed_votes: Path | None,
    asking: Asking,
    *,
    seed: int,
) -> tuple[Panel, Comparison]:
    """The panel, and both ways of asking it compared on the texts of `votes`.

    Votes that `votes` does not have are asked for, and so are packed ones where the file
    `packed_votes` is not there; it then is.
    """
    known = entries.read(asking.models)
    header = _header(votes)
    panel = loading.read_panel(
        name, [*(model.name for model in registry.voters()), *known, *header]
    )
    asked = packed.language_models(panel.voters)
    if not asked:
        raise typer.BadParameter(
            f"the panel {panel.name} has no language model: embedded voters are never packed"
        )
    with tempfile.TemporaryDirectory() as folder:
        alone_file, packed_file = votes, packed_votes or Path(folder) / "packed.csv"
        missing = [
            (file, at_once)
            for file, at_once, there in (
                (Path(folder) / "alone.csv", 1, set(asked) <= header),
                (packed_file, number, packed_file.exists()),
            )
            if not there
        ]
        if missing:
            under = (
                DEFAULT if asking.policy is None else policies.chosen(asking.policy, asking.where)
            )
            texts = record.rows_in(votes)
            with record.moderator_of(panel, known, under) as moderator:
                for file, at_once in missing:
                    record.write(texts, moderator, file, CONCURRENCY, at_once)
        if not set(asked) <= header:
            alone_file = Path(folder) / "alone.csv"
        alone, together = map(loading.read_votes, (alone_file, packed_file))
    return panel, _comparison(panel, alone, together, seed)


def _comparison(panel: Panel, alone: Recorded, together: Recorded, seed: int) -> Comparison:
    try:
        together = packed.paired(alone, together)
    except VotesUnreadable as problem:
        raise typer.BadParameter(str(problem)) from None
    lost = [voter for voter in packed.language_models(panel.voters) if voter not in together.voters]
    if lost:
        raise typer.BadParameter(f"the packed votes have no column {', '.join(lost)}")
    # Embedded voters read each text by itself: their votes are the same.
    alone, together = (loading.with_embedded(one, panel.voters) for one in (alone, together))
    with loading.progress_bar("replaying", 2 * len(alone)) as progress:
        return packed.compare(
            panel, alone, together, seed=seed, progress=lambda: progress.advance(loading.TASK)
        )


def _header(votes: Path) -> set[str]:
    """The voters that have a column of votes in the file, and its other columns."""
    try:
        with rows_of_files.opened(votes, gold.COLUMNS) as table:
            return {registry.own_name(name) for name in table.columns or ()}
    except (FileUnreadable, OSError) as problem:
        raise typer.BadParameter(f"{votes.name}: {problem}") from None


def show(found: Comparison, number: int) -> None:
    """Print both ways below each other, and what packing changes."""
    sections = [_rows("panel", found.panel, number)]
    if len(found.languages) > 1:
        sections += [
            _rows(f"panel, {language or NO_LANGUAGE}", pair, number)
            for language, pair in found.languages.items()
        ]
    sections += [_rows(voter, pair, number) for voter, pair in found.voters.items()]
    to = console()
    title = f"Each text in a call of its own, and {number} in a call"
    tables.show(to, COLUMNS, sections, title=title)
    changed = sum(found.changes.values())
    kinds = ", ".join(
        f"{rows:,} from {alone} to {together}" for (alone, together), rows in found.changes.items()
    )
    to.print(
        f"{changed:,} of {counted(found.panel.rows, 'verdict')} change"
        + (f": {kinds}" if kinds else ""),
        highlight=False,
    )
    to.print(
        "[dim]In brackets: 95 % intervals; those of differences are over pairs of the same text."
        " accuracy counts a lone voter's abstention or needs_review as unsafe.[/]",
        highlight=False,
    )


def _rows(name: str, pair: Pair, number: int) -> Sequence[tuple[str, ...]]:
    ways = (("alone", pair.alone), (f"{number} in a call", pair.packed))
    heading = f"[bold]{escape(name)}[/] ({counted(pair.rows, 'row')})"
    return [
        (heading, *[""] * (len(COLUMNS) - 1)),
        *((way, *_cells(found)) for way, found in ways),
        ("difference", *_cells(pair.difference, signed=True)),
    ]


def _cells(found: Figures, *, signed: bool = False) -> list[str]:
    sign = "+" if signed else ""
    forms = {"tokens_per_text": f"{sign},.0f", "cost_per_1000_usd": f"{sign},.4f"}
    return [_cell(found[name], forms.get(name, f"{sign}.1%")) for name in packed.FIGURES]


def _cell(estimate: Estimate | None, form: str) -> str:
    if estimate is None:
        return "–"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def document(panel: Panel, found: Comparison, number: int) -> dict[str, Any]:
    """The comparison as JSON types."""
    return {
        "panel": {"name": panel.name, "version": panel.version, "rounds": panel.rounds},
        "packed": number,
        **found.document(),
    }
