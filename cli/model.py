"""`quorum model`: put, list and probe the models of a deployment."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from quorum.answer.listing import ListedModel, ListedModels
from quorum.core.json_names import NameRepeated
from quorum.gateway.models import ModelEntryView
from quorum.vote.probing import ProbeReport

from cli import entries, tables
from cli.deployment import Where
from cli.errors import CommandFailed, ExitCode, first_problem
from cli.files import there
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, print_json, write_json
from cli.service import below, connect
from cli.tables import Column

app = typer.Typer(
    help="Models as data: put, list and probe those of a deployment.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(help="the model's name: the voter's name in panels")]

COLUMNS = (
    Column("name", left=True, least=8),
    Column("source", left=True, rank=2),
    Column("asked as", left=True, rank=1),
    Column("votes", left=True),
    Column("form", left=True, rank=3),
    Column("window", rank=4),
    Column("$ in"),
    Column("$ out"),
    Column("as of", left=True, rank=5),
)
REPLIES = (
    Column("form", left=True),
    Column("answered", left=True),
    Column("keeps it", left=True),
    Column("vote", left=True),
    Column("ms"),
    Column("problem", left=True, rank=1, least=12),
)


class _EntryBad(CommandFailed):
    code = ExitCode.USAGE


@app.callback()
def _model() -> None:
    """Models as data: put, list and probe those of a deployment."""


@app.command("list")
def list_models(where: Where = "local", *, as_json: AsJson = False) -> None:
    """List all models: the packaged ones, and those that were put as data."""
    found = ListedModels.model_validate(connect(where).get("models"))
    if as_json:
        print_json(found.model_dump(mode="json"))
        return
    tables.show(console(), COLUMNS, [[_row(one) for one in found.data]])


def _row(one: ListedModel) -> list[str]:
    form = one.reply_format if one.vote_format == "json" else one.vote_format
    return [
        one.name,
        one.source,
        one.gateway_name or "–",
        "yes" if one.votes else "no",
        form if one.kind == "gateway" else one.kind,
        f"{one.context_window:,}" if one.context_window else "–",
        f"{one.price.input:f}",
        f"{one.price.output:f}",
        f"{one.price.as_of}",
    ]


@app.command()
def get(
    name: Name,
    where: Where = "local",
    out: Annotated[Path, typer.Option(help="the JSON file; - for stdout")] = STANDARD_OUTPUT,
) -> None:
    """Write a model's entry, which `put` reads. Needs the key of the deployment's operator."""
    found = ListedModel.model_validate(connect(where, operator=True).get(below("models", name)))
    if found.entry is None:
        raise CommandFailed(f"{name} comes with the package, or the key may not see its entry.")
    write_json(out, found.entry.entry)
    notes.print(f"{name} {found.entry.version}, in force")
    for put_ in found.entry.history:
        notes.print(f"{put_.at:%Y-%m-%d %H:%M} {put_.by}: {put_.version or 'deleted'}")


@app.command()
def put(
    name: Name,
    document: Annotated[
        Path,
        typer.Argument(
            callback=there,
            help="the entry as JSON; - reads it from stdin",
        ),
    ],
    where: Where = "local",
    if_match: Annotated[
        str | None, typer.Option(help="only if this version is in force; * for any")
    ] = None,
) -> None:
    """Put a model in force: panels may use it, without a deployment.

    Needs the key of the deployment's operator. Every version is kept.
    """
    headers = {} if if_match is None else {"If-Match": if_match}
    answer = connect(where, operator=True).replace(below("models", name), load(document), headers)
    found = ModelEntryView.model_validate(answer)
    typer.echo(f"{name} {found.version} is in force.")


@app.command()
def delete(name: Name, where: Where = "local") -> None:
    """Put a model out of force, if no panel uses it. Needs the deployment's operator's key."""
    found = ModelEntryView.model_validate(
        connect(where, operator=True).delete(below("models", name))
    )
    typer.echo(f"{name} {found.version} is no longer in force.")


@app.command()
def probe(name: Name, where: Where = "local", *, as_json: AsJson = False) -> None:
    """Ask a model for votes on a harmless text and show what it can do.

    The votes are paid. Needs the key of the deployment's operator. Exits with 1 if the model does
    not vote.
    """
    answer = connect(where, operator=True).post(below("models", name, "probe"), {})
    found = ProbeReport.model_validate(answer)
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        _show(found)
    raise typer.Exit(ExitCode.COMPLETE if found.votes else ExitCode.ERROR)


def _show(found: ProbeReport) -> None:
    rows = [
        [
            one.reply_format or "its own",
            _yes(one.answered),
            _yes(one.keeps_form),
            one.vote or "",
            str(one.latency_ms),
            one.problem,
        ]
        for one in found.replies
    ]
    tables.show(console(), REPLIES, [rows])
    notes.print(
        f"log-probabilities: {_yes(found.log_probabilities)}, usage: {_yes(found.usage)},"
        f" the probe cost ${found.cost_usd:f}"
    )
    for advice in found.advice:
        notes.print(f"→ {advice}")


def load(document: Path) -> dict[str, Any]:
    """The entry in a file, or on stdin for `-`; raises `CommandFailed` if it is none."""
    text = sys.stdin.read() if document == STANDARD_OUTPUT else document.read_text(encoding="utf-8")
    try:
        return entries.parsed(text).document()
    except ValidationError as error:
        raise _EntryBad(f"{document} is not a model's entry: {first_problem(error)}.") from None
    except NameRepeated as problem:
        raise _EntryBad(f"{document} is not a model's entry: {problem}.") from None


def _yes(value: object) -> str:
    return "yes" if value else "no"
