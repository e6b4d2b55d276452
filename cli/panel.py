"""`quorum panel`: what a change of panel would change, and deploying it."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from botocore.exceptions import ClientError
from quorum.core import registry
from quorum.vote.panels import parameter_name, shadow_parameter_name
from rich.table import Table

from analysis import evaluation
from analysis.recorded import DECISIONS, NONE
from cli import loading
from cli.service import local_stack

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

app = typer.Typer(
    help="Look at panels before they are deployed, and deploy them.", no_args_is_help=True
)

PARAMETER_LIMIT = 8192
"""Bytes of an advanced SSM parameter."""


@app.callback()
def _panel() -> None:
    """Look at panels before they are deployed, and deploy them."""


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    new: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    votes: Annotated[Path, typer.Argument(help="CSV: language,text,gold,<voter>…")],
) -> None:
    """Show which verdicts of recorded votes would change from one panel to another.

    Rows are named by their line in the file (the header is row 1); texts are not shown.
    """
    rows = loading.read_votes(votes, labelled=False)
    before, rows = loading.seat(old, rows)
    after, rows = loading.seat(new, rows)
    with loading.progress_bar("replaying", 2 * len(rows)) as progress:
        first, second = (
            evaluation.replay(panel, rows, {}, progress=lambda: progress.advance(loading.TASK))
            for panel in (before, after)
        )
    table = Table(box=None, pad_edge=False)
    for name in ("row", "language", "gold", "old", "score", "new", "score"):
        table.add_column(name, justify="right" if name in {"row", "score"} else "left")
    changed = evaluation.changes(first, second)
    for row in sorted(int(row) for group in changed.values() for row in group):
        gold = DECISIONS[rows.gold[row]]
        table.add_row(
            str(row + 2),
            str(rows.languages[row]),
            "" if gold is None else str(gold),
            str(DECISIONS[first.decisions[row]]),
            f"{first.scores[row]:.2f}",
            str(DECISIONS[second.decisions[row]]),
            f"{second.scores[row]:.2f}",
        )
    loading.console.print(table)
    for (was, becomes), group in changed.items():
        golds = Counter(str(DECISIONS[code]) for code in rows.gold[group] if code != NONE)
        labels = ", ".join(f"{count} are {gold}" for gold, count in sorted(golds.items()))
        loading.console.print(
            f"{was} → {becomes}: {len(group)}" + (f" ({labels})" if labels else "")
        )
    total = sum(len(group) for group in changed.values())
    loading.console.print(
        f"{total} of {len(rows)} verdicts change from {before.name} {before.version} "
        f"to {after.name} {after.version}"
    )


@app.command()
def put(
    panel: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    where: Annotated[str, typer.Option(help="`local`, or the name of a stack in AWS")] = "local",
    tenant: Annotated[str | None, typer.Option(help="for this tenant only")] = None,
    shadow: Annotated[str | None, typer.Option(help="only as the shadow of this panel")] = None,
) -> None:
    """Deploy a panel: under its own name, for everybody or one tenant, or as a shadow.

    It judges within a minute. Takes AWS credentials that may put the parameter.
    """
    if tenant is not None and shadow is not None:
        raise typer.BadParameter("a shadow is the whole deployment's; leave --tenant out")
    checked = loading.read_panel(panel, [model.name for model in registry.voters()])
    text = json.dumps(checked.document(), separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    if size > PARAMETER_LIMIT:
        raise typer.BadParameter(f"{size} bytes; a parameter holds {PARAMETER_LIMIT}")
    stack, ssm = _parameters(where)
    name = (
        parameter_name(f"/{stack}", checked.name, tenant=tenant)
        if shadow is None
        else shadow_parameter_name(f"/{stack}", shadow)
    )
    # Standard up to 4 kB, which is free; advanced above. What is advanced stays so.
    try:
        ssm.put_parameter(
            Name=name, Value=text, Type="String", Overwrite=True, Tier="Intelligent-Tiering"
        )
    except ClientError as refusal:  # a tenant whose name no parameter can have, say
        raise typer.BadParameter(str(refusal)) from None
    loading.console.print(f"{name}: {checked.name} {checked.version}, {size} bytes")


def _parameters(where: str) -> "tuple[str, SSMClient]":
    """The stack's name, and the SSM its panels are in."""
    if where == "local":
        from local.stack import STACK  # noqa: PLC0415 only development machines have one

        return STACK, local_stack().client("ssm")
    import boto3  # noqa: PLC0415 the other panel commands start without it
    from quorum.aws.clients import client_config  # noqa: PLC0415 as above

    return where, boto3.client("ssm", config=client_config())
