"""`quorum`: one command for people; each subcommand has a module of its own."""

import typer

from cli.doctor import doctor
from cli.replies import replies

app = typer.Typer(
    help="Content moderation decided by a vote of models.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(doctor)
app.command()(replies)
