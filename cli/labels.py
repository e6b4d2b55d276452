"""`quorum labels`: export reviews as labels for `evaluate` and `calibrate`."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from quorum.core import registry
from quorum.core.models import CastVote
from quorum.vote.reviews import Label

from analysis.counts import counted
from analysis.rows import harmless
from cli.deployment import Where
from cli.output import notes, opened
from cli.service import Service, connect

app = typer.Typer(help="Labels made by reviewers.", no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="the CSV file; - for stdout. It will hold contents")]


@app.callback()
def _labels() -> None:
    """Labels made by reviewers."""


@app.command()
def export(out: Out, where: Where = "local") -> None:
    """Write every review of the key's tenant as language,text,gold,<voter>,<voter>.confidence….

    `weight` is the number of verdicts that a row stands for: those of the quality sample were drawn
    with a probability.

    Needs an operator's key. The text is empty if the content is no longer kept; the votes are still
    of use. A review with neither text nor votes is left out.
    """
    entries = [entry for entry in reviewed(connect(where, operator=True)) if _teaches(entry)]
    write(out, entries)
    without = sum(entry.content is None for entry in entries)
    notes.print(f"{counted(len(entries), 'label')}, {without:,} of them without text")


def reviewed(service: Service) -> Iterator[Label]:
    """Every reviewed verdict, oldest first, page by page."""
    return map(Label.model_validate, service.pages("labels"))


def write(out: Path, entries: list[Label]) -> None:
    """The CSV of `entries`, readable by its owner only."""
    heard = {vote.voter for entry in entries for vote in entry.verdict.votes}
    known = [model.name for model in registry.MODELS if model.name in heard]
    voters = known + sorted(heard.difference(known))
    columns = ["language", "text", "gold"]
    columns += [column for voter in voters for column in (voter, f"{voter}.confidence")]
    columns += ["panel", "panel.score", "policy", "weight"]
    with opened(out, private=True) as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(map(_row, entries))


def _row(entry: Label) -> dict[str, Any]:
    verdict = entry.verdict
    cells: dict[str, Any] = {
        "language": verdict.language or "",
        "text": harmless(entry.content or ""),
        "gold": entry.reviews[-1].decision,
        "panel": verdict.decision,
        "panel.score": f"{verdict.score:.6f}",
        "policy": f"{verdict.policy}@{verdict.policy_version}",
        "weight": f"{entry.weight:.6g}",
    }
    for vote in verdict.votes:
        if isinstance(vote, CastVote):
            cells |= {vote.voter: vote.decision, f"{vote.voter}.confidence": vote.confidence}
    return cells


def _teaches(entry: Label) -> bool:
    voted = any(isinstance(vote, CastVote) for vote in entry.verdict.votes)
    return entry.content is not None or voted
