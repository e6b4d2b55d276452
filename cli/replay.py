"""`quorum replay`: whether a verdict's votes, panel and policy still lead to it."""

import json
from typing import Annotated

import typer
from quorum.review.replay import Replay

from cli.deployment import Where
from cli.errors import CommandFailed
from cli.output import AsJson, print_json
from cli.service import below, connect


def replay(
    verdict_id: Annotated[str, typer.Argument(metavar="ID", help="the id of a verdict")],
    *,
    as_json: AsJson = False,
    where: Where = "local",
) -> None:
    """Compute a verdict anew from its stored votes. Exit code 1 unless it comes out the same."""
    found = Replay.model_validate(connect(where).get(below("verdicts", verdict_id, "replay")))
    if as_json:
        print_json(found.model_dump(mode="json"))
    else:
        typer.echo(
            f"{found.result}: panel {found.panel}@{found.panel_version},"
            f" policy {found.policy}@{found.policy_version}"
        )
        for difference in found.differences:
            stored, again = (json.dumps(one) for one in (difference.stored, difference.again))
            typer.echo(f"{difference.field}: stored {stored}, now {again}")
        for missing in found.missing:
            typer.echo(f"not kept any more: {missing}")
    if found.result != "same":
        raise CommandFailed(f"The verdict {verdict_id} does not come out the same.")
