"""`quorum moderate`: judge texts with a running Quorum."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from quorum.core.models import Verdict
from rich.progress import Progress

from cli.deployment import Where
from cli.errors import DeploymentRefused, ExitCode, print_error
from cli.languages import DefaultLanguage, Language
from cli.output import AsJson, console, notes
from cli.service import Service, connect
from cli.tables import show_verdicts


def moderate(
    texts: Annotated[
        list[str], typer.Argument(help="the texts to judge; - reads lines from stdin")
    ],
    where: Where = "local",
    panel: Annotated[str | None, typer.Option(help="the panel that judges")] = None,
    policy: Annotated[
        str | None, typer.Option(help="the policy, or one of its versions (name@version)")
    ] = None,
    language: Language = None,
    default_language: DefaultLanguage = None,
    *,
    context: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="a JSON file with the context of the texts: messages, parent, author",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge texts; every verdict shows each voter's vote and the cost.

    With --json, one line for each text, in order: its verdict, or the reason why it was rejected.
    """
    contents = (
        [line.rstrip("\n") for line in sys.stdin if line.strip()] if texts == ["-"] else texts
    )
    if not contents:
        raise typer.BadParameter("there is no text to judge")
    service = connect(where)
    judged: list[tuple[str, Verdict]] = []
    rejected = 0
    options = {
        "panel": panel,
        "policy": policy,
        "context": None if context is None else _context(context),
        "language": language,
        "default_language": default_language,
    }
    try:
        with Progress(console=notes, transient=True, disable=as_json) as progress:
            task = progress.add_task("judging", total=len(contents))
            for number, content in enumerate(contents, start=1):
                verdict = _judged(service, content, **options)
                if isinstance(verdict, DeploymentRefused):
                    rejected += 1
                    print_error(
                        f"Text {number:,} of {len(contents):,} was rejected: {verdict.message}"
                    )
                else:
                    judged.append((content, verdict))
                if as_json:
                    typer.echo(_line(verdict))
                progress.advance(task)
    finally:  # verdicts already paid for are shown even if the rest failed
        if judged and not as_json:
            show_verdicts(console(), judged)
    if rejected:
        raise typer.Exit(ExitCode.ERROR)


def _context(file: Path) -> Any:
    """The context in a JSON file; the deployment says what is wrong with one that is not valid."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as problem:
        raise typer.BadParameter(f"{file}: {problem}", param_hint="--context") from None


def _judged(service: Service, content: str, **options: Any) -> Verdict | DeploymentRefused:
    """The content's verdict, or the refusal of this content alone."""
    try:
        return service.moderate(content, **options)
    except DeploymentRefused as refusal:
        if not refusal.is_about("content"):
            raise
        return refusal


def _line(verdict: Verdict | DeploymentRefused) -> str:
    if isinstance(verdict, Verdict):
        return verdict.model_dump_json()
    return json.dumps({"rejected": verdict.error}, ensure_ascii=False)
