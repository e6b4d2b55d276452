"""The `quorum` command. Each subcommand has a module of its own."""

import os
import signal
import sys
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated

import typer
from dotenv import find_dotenv, load_dotenv
from quorum.aws import loop

from cli import (
    audit,
    batch,
    calibrate,
    chat,
    cost_model,
    costs,
    doctor,
    documents,
    env,
    estimate,
    evaluate,
    events,
    keys,
    labels,
    languages,
    listen,
    model,
    moderate,
    panel,
    policy,
    record,
    replay,
    replies,
    smoke,
    thresholds,
    train,
    transparency,
    verdicts,
)
from cli.errors import EXIT_CODES, Boundary

ENDING_SECONDS = 1.0
"""Seconds that a command waits at its end for what is still under way and of no use any more."""
CHECKOUT = Path(__file__).resolve().parent.parent

app = typer.Typer(
    help="Content moderation decided by a vote of models.",
    epilog=EXIT_CODES,
    cls=Boundary,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(moderate.moderate)
app.command()(batch.batch)
app.command()(chat.chat)
app.command()(costs.costs)
app.command("cost-model")(cost_model.cost_model_command)
app.command()(documents.documents)
app.command("estimate")(estimate.estimate_command)
app.command()(record.record)
app.command()(evaluate.evaluate)
app.command()(calibrate.calibrate)
app.command()(train.train)
app.command()(thresholds.thresholds)
app.command()(doctor.doctor)
app.command()(smoke.smoke)
app.command("languages")(languages.languages)
app.command()(replies.replies)
app.command()(env.env)
app.command()(replay.replay)
app.command()(transparency.transparency)
app.command()(listen.listen)
app.add_typer(keys.app, name="keys")
app.add_typer(model.app, name="model")
app.add_typer(panel.app, name="panel")
app.add_typer(policy.app, name="policy")
app.add_typer(events.app, name="events")
app.add_typer(labels.app, name="labels")
app.add_typer(verdicts.app, name="verdicts")
app.add_typer(audit.app, name="audit")


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"quorum {installed_version('quorum')}")
        raise typer.Exit


@app.callback()
def _quorum(
    *,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="show where an unexpected error happened")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", help="show the version", callback=_version, is_eager=True),
    ] = False,
) -> None:
    """Content moderation decided by a vote of models."""


def main() -> None:
    """Run a command as typed in a shell.

    Variables that the environment does not set come from `.env`: that of the working directory, of
    a folder above it, or else of the checkout. Ctrl-C interrupts also where the parent process
    ignores it, as a shell does for a command in the background.
    """
    load_dotenv(find_dotenv(usecwd=True) or CHECKOUT / ".env")
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        app()
    except SystemExit as ended:
        if not loop.end(ENDING_SECONDS):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(ended.code if isinstance(ended.code, int) else int(ended.code is not None))
        raise


if __name__ == "__main__":
    main()
