"""`quorum verdicts`: export the stored verdicts of the key's tenant."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from quorum.core.models import Decision

from analysis.counts import counted
from cli import days
from cli.deployment import Where
from cli.output import STANDARD_OUTPUT, notes, opened
from cli.service import Service, connect

app = typer.Typer(help="Stored verdicts.", no_args_is_help=True)


@app.callback()
def _verdicts() -> None:
    """Stored verdicts."""


@app.command()
def export(
    out: Annotated[Path, typer.Option(help="the file, JSON Lines; - for stdout")] = STANDARD_OUTPUT,
    since: days.SinceMoment = None,
    until: days.UntilMoment = None,
    decision: Annotated[Decision | None, typer.Option(help="only these decisions")] = None,
    category: Annotated[
        str | None, typer.Option(help="only verdicts that flag this category")
    ] = None,
    panel: Annotated[str | None, typer.Option(help="only verdicts of this panel")] = None,
    policy: Annotated[str | None, typer.Option(help="only verdicts under this policy")] = None,
    language: Annotated[str | None, typer.Option(help="only this language (ISO 639)")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            help="only verdicts whose metadata has NAME=VALUE, or NAME; repeat it for several"
        ),
    ] = None,
    where: Where = "local",
) -> None:
    """Write the verdicts, newest first, a line of JSON each. They hold reasons, but no contents."""
    filters = {
        "decision": None if decision is None else str(decision),
        "category": category,
        "panel": panel,
        "policy": policy,
        "language": language,
    }
    filters |= {"from": since, "to": until}
    query: dict[str, str | list[str]] = {
        name: value for name, value in filters.items() if value is not None
    }
    if metadata:
        query["metadata"] = metadata
    written = 0
    service = connect(where)
    with opened(out, private=True) as file:
        for verdict in listed(service, query):
            file.write(json.dumps(verdict, ensure_ascii=False) + "\n")
            written += 1
    notes.print(counted(written, "verdict"))


def listed(service: Service, query: dict[str, str | list[str]]) -> Iterator[dict[str, Any]]:
    """The verdicts that `query` asks for, page by page."""
    return service.pages("verdicts", **query)
