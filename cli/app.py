"""`quorum`: one command for people; each subcommand has a module of its own."""

import typer

from cli import (
    batch,
    calibrate,
    chat,
    costs,
    doctor,
    documents,
    estimate,
    evaluate,
    labels,
    moderate,
    panel,
    record,
    replies,
)

app = typer.Typer(
    help="Content moderation decided by a vote of models.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.command()(moderate.moderate)
app.command()(batch.batch)
app.command()(chat.chat)
app.command()(costs.costs)
app.command()(documents.documents)
app.command("estimate")(estimate.estimate_command)
app.command()(record.record)
app.command()(evaluate.evaluate)
app.command()(calibrate.calibrate)
app.command()(doctor.doctor)
app.command()(replies.replies)
app.add_typer(panel.app, name="panel")
app.add_typer(labels.app, name="labels")

if __name__ == "__main__":
    app()
