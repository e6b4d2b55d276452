"""Loading of votes, panels and prices for the panel commands; errors become usage errors."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from quorum.answer.listing import ListedModels
from quorum.core.errors import PanelInvalid
from quorum.core.registry import Price
from quorum.vote import panel
from quorum.vote.panel import Panel
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from analysis import embedded_votes, prices, recorded
from analysis.counts import counted
from analysis.prices import ListPrice
from analysis.recorded import Recorded, VotesUnreadable
from cli import entries
from cli.errors import of_file
from cli.output import notes
from cli.service import connect

PricesAt = Annotated[
    str | None,
    typer.Option(
        "--where",
        help="read the prices of models put as data from this deployment: `local`, its URL or its"
        " profile (default: from no deployment)",
    ),
]
TASK = TaskID(0)
"""The one task of a progress bar."""


@dataclass(frozen=True, slots=True)
class Costs:
    """The dollars of one vote by voter, and the voter that costs are compared with."""

    dollars: dict[str, Decimal]
    reference: str | None


@contextmanager
def progress_bar(doing: str, total: int) -> Iterator[Progress]:
    """A progress bar on the terminal; advance it by `progress.advance(TASK)`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=notes, transient=True) as progress:
        progress.add_task(doing, total=total)
        yield progress


def read_votes(path: Path, *, labelled: bool = True) -> Recorded:
    """The recorded votes, by default those with labels; a usage error if there are none."""
    try:
        votes = recorded.read(path)
    except VotesUnreadable as problem:
        raise typer.BadParameter(str(problem)) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(of_file(problem)) from None
    if not labelled:
        return votes
    with_labels = votes.labelled()
    if not len(with_labels):
        raise typer.BadParameter(f"{path.name}: no row has a gold label")
    if len(with_labels) < len(votes):
        without = counted(len(votes) - len(with_labels), "row")
        notes.print(f"left out: {without} without a gold label")
    return with_labels


def read_panel(
    name_or_path: str,
    voters: Collection[str],
    others: Callable[[], Collection[str]] = tuple,
) -> Panel:
    """A packaged panel by name, or one from a JSON file, whose voters are among `voters`.

    `others` names further ones, and is called only where a voter is none of those.
    """
    document = _document(name_or_path)
    try:
        try:
            return panel.load(document, voters=voters)
        except PanelInvalid as problem:
            if not problem.path.startswith("rounds.") or not (more := others()):
                raise
            return panel.load(document, voters={*voters, *more})
    except PanelInvalid as problem:
        raise typer.BadParameter(f"{name_or_path}: {problem}") from None


def _document(name_or_path: str) -> str:
    if name_or_path in panel.PACKAGED:
        return json.dumps(panel.packaged(name_or_path).document())
    try:
        return Path(name_or_path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise typer.BadParameter(
            f"there is no panel {name_or_path!r}: it is neither a file nor a packaged panel"
            f" ({', '.join(panel.PACKAGED)})"
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise typer.BadParameter(of_file(problem)) from None


def panel_over(name_or_path: str, votes: Recorded) -> tuple[Panel, Recorded]:
    """The panel, and the rows with votes of its embedded voters added where they had none."""
    missing = embedded_votes.available(votes)
    panel = read_panel(name_or_path, (*votes.voters, *missing))
    return panel, with_embedded(votes, panel.voters)


def with_embedded(votes: Recorded, wanted: Collection[str] | None = None) -> Recorded:
    """The rows with votes of embedded voters (of `wanted`, if given) where they had none."""
    missing = [
        voter for voter in embedded_votes.available(votes) if wanted is None or voter in wanted
    ]
    if not missing:
        return votes
    with progress_bar("embedded voters", len(votes) * len(missing)) as progress:
        return embedded_votes.added(votes, missing, progress=lambda: progress.advance(TASK))


def read_costs(
    votes: Recorded,
    prices_file: Path | None,
    reference: str | None,
    *,
    models: list[str] | None,
    where: str | None,
    input_tokens: int,
    output_tokens: int,
) -> Costs:
    """The cost of each voter; voters without a known price are named on the terminal.

    Prices in `prices_file` come first, then those of entries in `models`, then those of models put
    as data in the deployment `where`, then those of the registry.
    """
    listed = {} if where is None else _deployed(where)
    listed |= {name: _price(known.model.price) for name, known in entries.read(models).items()}
    try:
        listed |= {} if prices_file is None else prices.read(prices_file)
    except (OSError, ValueError, RecursionError, ValidationError) as problem:
        raise typer.BadParameter(f"prices: {problem}") from None
    dollars = prices.costs(
        votes.voters, listed, input_tokens=input_tokens, output_tokens=output_tokens
    )
    unknown = [voter for voter in votes.voters if voter not in dollars]
    if unknown:
        notes.print(
            f"no price is known for {', '.join(unknown)};"
            " read models put as data with --where or --model, or name a file with --prices"
        )
    if reference is not None and not dollars.get(reference):
        raise typer.BadParameter(
            f"the reference voter {reference!r} needs a column and a price above 0"
        )
    return Costs(dollars, reference or prices.reference(votes.voters, dollars))


def _deployed(where: str) -> dict[str, ListPrice]:
    """The prices of the models put as data in a deployment, by name."""
    found = ListedModels.model_validate(connect(where).get("models"))
    return {one.name: _price(one.price) for one in found.data if one.source == "deployment"}


def _price(price: Price) -> ListPrice:
    return ListPrice(input=price.input, output=price.output)
