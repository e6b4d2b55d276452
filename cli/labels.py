"""`quorum labels`: export reviews and suggestions as labels for `evaluate` and `calibrate`."""

import csv
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from quorum.core.spreadsheets import harmless
from quorum.review import label_table
from quorum.review.label_summary import RECENT_DAYS, summary
from quorum.vote.quality_sample import Estimate
from quorum.vote.reviews import Label
from quorum.vote.suggestions import Suggestion

from analysis.counts import counted
from cli import learning, tables
from cli.deployment import Where
from cli.output import AsJson, console, notes, opened, print_json
from cli.service import Service, connect
from cli.tables import Column

app = typer.Typer(help="Labels made by reviewers.", no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="the CSV file; - for stdout. It will hold contents")]
Suggested = Annotated[
    bool,
    typer.Option("--suggested", help="also what clients of the Perspective API suggested"),
]


VOTERS = (
    Column("voter", left=True, least=8),
    Column("labels"),
    Column("agreement", left=True),
    Column("before", left=True, rank=1),
    Column("recent", left=True, rank=1),
    Column("", left=True),
)


for _name, _command in learning.COMMANDS.items():
    app.command(_name)(_command)


@app.callback()
def _labels() -> None:
    """Labels made by reviewers."""


@app.command()
def export(out: Out, where: Where = "local", *, suggested: Suggested = False) -> None:
    """Write every review of the key's tenant as language,text,gold,<voter>,<voter>.confidence….

    `weight` is the number of verdicts that a row stands for: those of the quality sample were drawn
    with a probability.

    Needs an operator's key. The text is empty if the content is no longer kept; the votes are still
    of use. A review with neither text nor votes is left out. A text that was reviewed has no row of
    a suggestion.
    """
    service = connect(where, operator=True)
    entries = [entry for entry in reviewed(service) if label_table.teaches(entry)]
    suggestions: list[Suggestion] = []
    if suggested:
        texts = {entry.content for entry in entries}
        suggestions = [one for one in suggestions_of(service) if one.content not in texts]
    write(out, entries, suggestions)
    without = sum(entry.content is None for entry in entries)
    told = f"{counted(len(entries) + len(suggestions), 'label')}, {without:,} of them without text"
    notes.print(f"{told}, {len(suggestions):,} suggested" if suggested else told)


@app.command("summary")
def show(
    days: Annotated[
        int, typer.Option(min=1, help="the last days, compared with what was before")
    ] = RECENT_DAYS,
    where: Where = "local",
    *,
    as_json: AsJson = False,
) -> None:
    """Count the labels, and show how often each voter agrees with people, and who drifted.

    Agreement is estimated for all verdicts: a label of the quality sample stands for as many as its
    probability says. In brackets is the interval of 95 %. Needs an operator's key.
    """
    found = summary(list(reviewed(connect(where, operator=True))), datetime.now(UTC), days)
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    told = counted(found.labels, "label")
    typer.echo(f"{told} for {found.represents:,.0f} verdicts, {found.with_text:,} with their text")
    for name in ("decision", "language", "category"):
        numbers = getattr(found, f"by_{name}").items()
        typer.echo(
            f"by {name}: " + (", ".join(f"{key} {count:,}" for key, count in numbers) or "–")
        )
    rows = [
        [
            one.voter,
            f"{one.agreement.sampled:,}",
            _estimate(one.agreement),
            _estimate(one.before),
            _estimate(one.recent),
            "drifted" if one.drifted else "",
        ]
        for one in found.voters
    ]
    tables.show(console(), VOTERS, [rows])


def _estimate(one: Estimate | None) -> str:
    return "" if one is None else f"{one.share:.1%} ({one.low:.1%} to {one.high:.1%})"


def reviewed(service: Service) -> Iterator[Label]:
    """Every reviewed verdict, oldest first, page by page."""
    return map(Label.model_validate, service.pages("labels"))


def suggestions_of(service: Service) -> Iterator[Suggestion]:
    """Every suggestion, oldest first, page by page."""
    return map(Suggestion.model_validate, service.pages("suggestions"))


def write(out: Path, entries: list[Label], suggestions: Sequence[Suggestion] = ()) -> None:
    """The CSV of `entries` and `suggestions`, readable by its owner only."""
    judged = [entry.verdict for entry in entries]
    judged += [one.verdict for one in suggestions if one.verdict is not None]
    columns = label_table.columns(judged)
    with opened(out, private=True) as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(map(label_table.row, entries))
        writer.writerows(map(_suggested_row, suggestions))


def _suggested_row(suggestion: Suggestion) -> dict[str, Any]:
    return {
        "language": suggestion.language or "",
        "text": harmless(suggestion.content),
        "gold": suggestion.decision,
        "policy": suggestion.policy,
        "labelled_by": "suggestion",
        **({} if suggestion.verdict is None else label_table.judged(suggestion.verdict)),
    }
