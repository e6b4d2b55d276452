"""`quorum`: one command for people; each subcommand has a module of its own."""

import typer

from cli.moderate import moderate
from cli.record import record

app = typer.Typer(
    help="Content moderation decided by a vote of models.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(moderate)
app.command()(record)


@app.callback()
def main() -> None:
    """Content moderation decided by a vote of models."""
