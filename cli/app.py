"""`quorum`: one command for people; each subcommand has a module of its own."""

import typer

from cli.doctor import doctor
from cli.moderate import moderate
from cli.record import record
from cli.replies import replies

app = typer.Typer(
    help="Content moderation decided by a vote of models.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(doctor)
app.command()(moderate)
app.command()(record)
app.command()(replies)


@app.callback()
def main() -> None:
    """Content moderation decided by a vote of models."""
