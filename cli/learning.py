"""`quorum labels propose`, `shadow`, `promote`: what labels would change, and putting it."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer
from quorum.review.proposals import Proposal
from quorum.review.recalibration import Change
from quorum.vote.panel import Estimate

from analysis.counts import counted
from cli import tables
from cli.deployment import Where
from cli.output import AsJson, console, print_json
from cli.service import below, connect
from cli.tables import Column

ProposalId = Annotated[str, typer.Argument(metavar="PROPOSAL", help="the proposal's id")]
Person = Annotated[str, typer.Option(help="who does this; it is in the audit trail")]

FIGURES = {
    "accuracy": "accuracy",
    "decided_accuracy": "right of what is decided",
    "review_rate": "to review",
    "let_through": "unsafe, let through",
    "cost_per_1000_usd": "dollars per 1,000",
}
"""The figures of a proposal with their names, in the order in which they are shown."""
_DOLLARS = "cost_per_1000_usd"
_COLUMNS = (
    Column("", left=True, least=8),
    Column("now", left=True),
    Column("proposed", left=True),
    Column("change", left=True),
)
_LIST = (
    Column("proposal", left=True, least=20),
    Column("panel", left=True),
    Column("state", left=True),
    Column("made", left=True),
    Column("labels"),
    Column("why", left=True, rank=1),
)


def propose(
    panel: Annotated[
        str | None, typer.Option(help="the panel (default: the one that judges by default)")
    ] = None,
    policy: Annotated[str, typer.Option(help="the policy of the labels")] = "default",
    person: Annotated[str | None, typer.Option(help="who asks")] = None,
    where: Where = "local",
    *,
    as_json: AsJson = False,
) -> None:
    """Recalibrate a panel on its labels, and show what that would change. It has no effect.

    Each figure is of all verdicts, estimated from the labels by their weights, and measured on
    labels that had no part in the recalibration; in brackets is the interval of 95 %. Needs an
    operator's key.
    """
    asked = {"panel": panel, "policy": policy, "person": person}
    body = {name: value for name, value in asked.items() if value is not None}
    _tell(connect(where, operator=True).post("proposals", body), as_json=as_json)


def listed(where: Where = "local", *, as_json: AsJson = False) -> None:
    """List the proposals, the newest first. Needs an operator's key."""
    found = connect(where, operator=True).get("proposals")["proposals"]
    if as_json:
        print_json(found)
        return
    rows = [
        [
            one.id,
            f"{one.name} {one.from_version}",
            str(one.state),
            f"{one.made_at:%Y-%m-%d %H:%M}",
            f"{one.labels:,}",
            "; ".join(one.why),
        ]
        for one in map(_read, found)
    ]
    tables.show(console(), _LIST, [rows])


def show(proposal: ProposalId, where: Where = "local", *, as_json: AsJson = False) -> None:
    """Show a proposal. Needs an operator's key."""
    _tell(connect(where, operator=True).get(below("proposals", proposal)), as_json=as_json)


def shadow(
    proposal: ProposalId, person: Person, where: Where = "local", *, as_json: AsJson = False
) -> None:
    """Put a proposal as the shadow of its panel: it is tallied beside it and decides nothing.

    Refused once another version of the panel is in force. Needs an operator's key.
    """
    _do("shadow", proposal, person, where, as_json=as_json)


def promote(
    proposal: ProposalId, person: Person, where: Where = "local", *, as_json: AsJson = False
) -> None:
    """Put a proposal that was a shadow in force, for your tenant. It judges within a minute.

    Refused once another version of the panel is in force. Needs an operator's key.
    """
    _do("promote", proposal, person, where, as_json=as_json)


def withdraw(
    proposal: ProposalId, person: Person, where: Where = "local", *, as_json: AsJson = False
) -> None:
    """Withdraw a proposal; it is no shadow any more. Needs an operator's key."""
    _do("withdraw", proposal, person, where, as_json=as_json)


COMMANDS: Mapping[str, Callable[..., None]] = {
    "propose": propose,
    "proposals": listed,
    "proposal": show,
    "shadow": shadow,
    "promote": promote,
    "withdraw": withdraw,
}
"""The commands by name."""


def _do(step: str, proposal: str, person: str, where: str, *, as_json: bool) -> None:
    service = connect(where, operator=True)
    _tell(service.post(below("proposals", proposal, step), {"person": person}), as_json=as_json)


def _read(document: Any) -> Proposal:
    return Proposal.model_validate(document, extra="ignore")


def _tell(document: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    one = _read(document)
    typer.echo(f"{one.id}: {one.name} {one.from_version} → {one.version}, {one.state}")
    for why in one.why:
        typer.echo(f"because {why}")
    typer.echo(
        f"{counted(one.labels, 'label')}, worth {one.effective:,.0f}, for {one.represents:,.0f}"
        f" verdicts: log-odds × {one.slope:.2f} {one.intercept:+.2f}"
    )
    for language, changes in {"": one.changes, **one.by_language}.items():
        rows = [
            [title, *_told(name, changes[name])]
            for name, title in FIGURES.items()
            if name in changes
        ]
        if language:
            typer.echo(f"in {language}:")
        tables.show(console(), _COLUMNS, [rows])
    for flip, share in one.flips.items():
        typer.echo(f"{flip}: {share:.2%} of verdicts")
    if one.unheard:
        typer.echo(f"{one.unheard:.1%} would need votes that nobody gave; counted as to review")


def _told(name: str, change: Change) -> tuple[str, str, str]:
    """A figure now, proposed, and the difference."""
    if name == _DOLLARS:
        written = [f"{one.value:.4f}" for one in (change.before, change.after)]
        return written[0], written[1], f"{change.change.value:+.4f} ({_between(change.change, 4)})"
    written = [
        f"{one.value:.1%} ({one.low:.1%} to {one.high:.1%})"
        for one in (change.before, change.after)
    ]
    points = Estimate(
        value=100 * change.change.value, low=100 * change.change.low, high=100 * change.change.high
    )
    return written[0], written[1], f"{points.value:+.1f} points ({_between(points, 1)})"


def _between(one: Estimate, digits: int) -> str:
    return f"{one.low:+.{digits}f} to {one.high:+.{digits}f}"
