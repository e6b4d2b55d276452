"""`quorum panel`: read panels, compare two on recorded votes, and deploy one."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from quorum.core import registry
from quorum.vote.panel import PACKAGED
from quorum.vote.panels import parameter_name, shadow_parameter_name

from analysis import evaluation
from analysis.counts import counted
from analysis.evaluation import Answers
from analysis.recorded import DECISIONS, Recorded
from cli import deployment, loading, panel_check, tables
from cli.deployment import Where
from cli.output import STANDARD_OUTPUT, AsJson, console, notes, print_json, write_json
from cli.service import connect
from cli.tables import Column

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

app = typer.Typer(
    help="Read panels, compare them before they are deployed, and deploy them.",
    no_args_is_help=True,
)

PARAMETER_LIMIT = 8192
"""Bytes of an advanced SSM parameter."""
CHANGES = (
    Column("row"),
    Column("language", left=True, rank=2),
    Column("gold", left=True, rank=1),
    Column("old", left=True),
    Column("score"),
    Column("new", left=True),
    Column("score"),
)


@app.callback()
def _panel() -> None:
    """Read panels, compare them before they are deployed, and deploy them."""


@app.command()
def diff(
    old: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    new: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    votes: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, help="CSV: language,text,gold,<voter>…"),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show which verdicts of recorded votes would change from one panel to another.

    Rows are named by their line in the file (the header is row 1); texts are not shown.
    """
    rows = loading.read_votes(votes, labelled=False)
    before, rows = loading.panel_over(old, rows)
    after, rows = loading.panel_over(new, rows)
    with loading.progress_bar("replaying", 2 * len(rows)) as progress:
        first, second = (
            evaluation.replay(panel, rows, {}, progress=lambda: progress.advance(loading.TASK))
            for panel in (before, after)
        )
    changed = evaluation.changes(first, second)
    found = [
        _change(rows, first, second, row)
        for row in sorted(int(row) for group in changed.values() for row in group)
    ]
    if as_json:
        versions = [{"name": panel.name, "version": panel.version} for panel in (before, after)]
        print_json({"panels": versions, "rows": len(rows), "changed": found})
    else:
        _show_changes(found)
        console().print(
            f"{len(found):,} of {counted(len(rows), 'verdict')} would change from"
            f" {before.name} {before.version} to {after.name} {after.version}",
            highlight=False,
        )


def _change(rows: Recorded, first: Answers, second: Answers, row: int) -> dict[str, Any]:
    gold = DECISIONS[rows.gold[row]]
    return {
        "row": row + 2,
        "language": str(rows.languages[row]),
        "gold": None if gold is None else str(gold),
        "old": str(DECISIONS[first.decisions[row]]),
        "old_score": round(float(first.scores[row]), 6),
        "new": str(DECISIONS[second.decisions[row]]),
        "new_score": round(float(second.scores[row]), 6),
    }


def _show_changes(found: list[dict[str, Any]]) -> None:
    """Print the rows that change, then their number by kind of change."""
    to = console()
    cells = [
        (
            str(one["row"]),
            one["language"],
            one["gold"] or "",
            one["old"],
            f"{one['old_score']:.2f}",
            one["new"],
            f"{one['new_score']:.2f}",
        )
        for one in found
    ]
    tables.show(to, CHANGES, [cells])
    kinds = Counter((one["old"], one["new"]) for one in found)
    for (old, new), count in sorted(kinds.items()):
        golds = Counter(
            one["gold"] for one in found if (one["old"], one["new"]) == (old, new) and one["gold"]
        )
        labels = ", ".join(f"{number} are {gold}" for gold, number in sorted(golds.items()))
        to.print(f"{old} → {new}: {count:,}" + (f" ({labels})" if labels else ""), highlight=False)


@app.command()
def get(
    name: Annotated[str, typer.Argument(help="the panel's name")],
    where: Where = "local",
    out: Annotated[Path, typer.Option(help="the JSON file; - for stdout")] = STANDARD_OUTPUT,
) -> None:
    """Write the panel that judges for the key's tenant under a name, as `put` reads it.

    Its version, and whether it is the tenant's, the deployment's or packaged, are printed beside
    it.
    """
    (shown,) = connect(where).get("panels", name=name)["panels"]
    facts = {field: shown.pop(field, None) for field in ("version", "source", "calibrated")}
    write_json(out, shown)
    state = (
        "" if facts["calibrated"] in (None, True) else ", not calibrated under your default policy"
    )
    notes.print(f"{name} {facts['version']} ({facts['source']}){state}", soft_wrap=True)


@app.command()
def put(
    panel: Annotated[str, typer.Argument(help="Panel JSON, or the name of a packaged panel.")],
    where: Where = "local",
    name: Annotated[
        str | None, typer.Option(help="store it under this name instead of its own")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="deploy it for this tenant only")] = None,
    shadow: Annotated[
        str | None, typer.Option(help="deploy it as the shadow of this panel")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Deploy a panel: under its own name, for everybody or one tenant, or as a shadow.

    It is in use within a minute. Refused if contents could then not be judged under a policy in
    force; a shadow, if they could not once it is put in its panel's place. Needs AWS credentials
    that may write the SSM parameter and read the tables.
    """
    if tenant is not None and shadow is not None:
        raise typer.BadParameter("a shadow belongs to the whole deployment; leave --tenant out")
    packaged = [model.name for model in registry.voters()]
    checked = loading.read_panel(panel, packaged, lambda: panel_check.models(where).voters())
    if name is not None:
        checked = checked.model_copy(update={"name": name})
    text = json.dumps(checked.document(), separators=(",", ":"), ensure_ascii=False)
    size = len(text.encode())
    if size > PARAMETER_LIMIT:
        raise typer.BadParameter(
            f"the panel has {size} bytes; an SSM parameter holds {PARAMETER_LIMIT}"
        )
    path = f"/{deployment.stack_name(where)}"
    parameter = (
        parameter_name(path, checked.name, tenant=tenant)
        if shadow is None
        else shadow_parameter_name(path, shadow)
    )
    ssm = deployment.client(where, "ssm")
    not_judged = panel_check.not_judged(where, checked, tenant, shadow_of=shadow)
    used = shadow is not None or _is_used(ssm, where, parameter, checked.name)
    # Up to 4 kB a parameter is standard, which is free; an advanced one stays advanced.
    ssm.put_parameter(
        Name=parameter, Value=text, Type="String", Overwrite=True, Tier="Intelligent-Tiering"
    )
    if as_json:
        print_json({"parameter": parameter, "name": checked.name, "version": checked.version})
    else:
        console().print(f"{parameter}: {checked.name} {checked.version}, {size:,} bytes")
    if not used:
        notes.print(
            f'No request uses it yet: it judges requests that say "panel": "{checked.name}".'
            " To replace a panel in use, put it under that panel's name with --name.",
            style="yellow",
        )
    for one in not_judged:
        notes.print(f"It cannot judge under the policy {one}.", style="yellow")


def _is_used(ssm: "SSMClient", where: str, parameter: str, name: str) -> bool:
    """Whether requests may be expected to name the panel: it is packaged, the default or there."""
    if name in PACKAGED:
        return True
    try:
        ssm.get_parameter(Name=parameter)
    except ssm.exceptions.ParameterNotFound:
        return name == deployment.default_panel(where)
    return True
