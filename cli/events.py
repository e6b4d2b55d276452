"""`quorum events`: what of a deployment's events was put aside, told again."""

import typer
from quorum.events.telling_again import TellingAgain

from analysis.counts import counted
from cli import deployment
from cli.deployment import Where

app = typer.Typer(help="The events of a deployment.", no_args_is_help=True)


@app.callback()
def _events() -> None:
    """The events of a deployment."""


@app.command("redrive")
def redrive(where: Where = "local") -> None:
    """Tell again the events of verdicts that were put aside, such as by a rule of newer code.

    Each goes by the rule that its tenant has now. Other dead letters of events are left on their
    queue. Needs AWS credentials for the queue and the table of verdicts.
    """
    outputs = deployment.outputs_of(where)
    found = TellingAgain(
        deployment.client(where, "sqs"),
        outputs["DeliveryDeadLettersUrl"],
        deployment.dynamodb(where),
        outputs["VerdictsTable"],
    ).all()
    typer.echo(
        f"{counted(found.told, 'verdict')} told again, {found.gone:,} no longer there,"
        f" {counted(found.left, 'other message')} left"
    )
