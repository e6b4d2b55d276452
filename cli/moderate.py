"""`quorum moderate`: judge texts with a running Quorum."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import track

from cli.service import connect
from cli.tables import verdict_table

if TYPE_CHECKING:
    from quorum.core.models import Verdict

Where = Annotated[str, typer.Option(help="`local`, or the base URL of a deployment")]


def moderate(
    texts: Annotated[list[str], typer.Argument(help="what to judge; - reads lines from stdin")],
    where: Where = "local",
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    language: Annotated[str | None, typer.Option(help="ISO 639-1, if known")] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="one verdict a line, as JSON")] = False,
) -> None:
    """Judge texts; every verdict says who voted what, and what it cost."""
    service = connect(where)
    contents = (
        [line.rstrip("\n") for line in sys.stdin if line.strip()] if texts == ["-"] else texts
    )
    judged: list[tuple[str, Verdict]] = []
    notes = Console(stderr=True)
    for content in track(contents, "judging", console=notes, transient=True, disable=as_json):
        verdict = service.moderate(content, panel=panel, language=language)
        judged.append((content, verdict))
        if as_json:
            typer.echo(verdict.model_dump_json())
    if not as_json:
        Console().print(verdict_table(judged))
