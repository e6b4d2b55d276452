"""Pages of labels: what they say of the voters, and proposals, tried and put by people."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import QuorumError
from quorum.review.label_summary import summary
from quorum.review.label_table import table
from quorum.review.proposals import PersonRequest, Proposal, ProposalRequest
from quorum.review.recalibration import Change
from quorum.routes import catalogue, learning
from quorum.vote.panel import Calibrated, Estimate

_READ = ACCESS["GET /labels"]
_PROPOSE = ACCESS["POST /proposals"]
EXPORT_BYTES = 4_000_000
"""Bytes of a file of labels: a Lambda answers with 6 MB of JSON, in which quotes take two."""
_MARK = "\ufeff"
"""The mark by which spreadsheets know UTF-8."""
_FIGURES = ("accuracy", "decided_accuracy", "review_rate", "let_through", "cost_per_1000_usd")
_DOLLARS = "cost_per_1000_usd"


class Row(NamedTuple):
    """A figure of a proposal: now, proposed, and the difference with its interval."""

    name: str
    now: str
    proposed: str
    change: str
    interval: str


def labels(visit: Visit) -> Answer:
    """How many labels there are, how right each voter is, and the proposals."""
    return _labels(visit)


def export(visit: Visit) -> Answer:
    """The labels as a file: the latest, as many as an answer may hold."""
    found = table(visit.app.labels.newest_first(visit.tenant, with_contents=True), EXPORT_BYTES)
    part = "" if found.complete else f"-latest-{found.rows}"
    name = f"quorum-labels-{datetime.fromtimestamp(visit.app.clock(), UTC):%Y-%m-%d}{part}.csv"
    attached = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(HTTPStatus.OK, _MARK + found.text, "text/csv; charset=utf-8", headers=attached)


def propose(visit: Visit) -> Answer:
    """Recalibrate a panel on its labels, and show what that would change."""
    form = visit.request
    fields = {"panel": form.field("panel") or None, "person": visit.signed_in.reviewer}
    if form.field("policy"):
        fields["policy"] = form.field("policy")
    try:
        request = visit.read(ProposalRequest, fields)
        made = learning.post_proposal(request, visit.app, visit.caller)
    except QuorumError as problem:
        return _labels(visit, problem)
    return visit.go(f"labels/{made.id}")


def proposal(visit: Visit, proposal_id: str) -> Answer:
    """A proposal, what it would change, and what became of it."""
    return _proposal(visit, proposal_id)


def shadow(visit: Visit, proposal_id: str) -> Answer:
    """Put a proposal as a shadow."""
    try:
        learning.post_shadow(proposal_id, _person(visit), visit.app, visit.caller)
    except QuorumError as problem:
        return _proposal(visit, proposal_id, problem)
    return visit.go(f"labels/{proposal_id}")


def promote(visit: Visit, proposal_id: str) -> Answer:
    """Put a proposal in force."""
    try:
        learning.post_promotion(proposal_id, _person(visit), visit.app, visit.caller)
    except QuorumError as problem:
        return _proposal(visit, proposal_id, problem)
    return visit.go(f"labels/{proposal_id}")


def withdraw(visit: Visit, proposal_id: str) -> Answer:
    """Withdraw a proposal."""
    try:
        learning.post_withdrawal(proposal_id, _person(visit), visit.app, visit.caller)
    except QuorumError as problem:
        return _proposal(visit, proposal_id, problem)
    return visit.go(f"labels/{proposal_id}")


def _person(visit: Visit) -> PersonRequest:
    """The person who is signed in, who answers for the step."""
    return visit.read(PersonRequest, {"person": visit.signed_in.reviewer})


def _labels(visit: Visit, problem: QuorumError | None = None) -> Answer:
    found = visit.app.labels.latest(visit.tenant)
    shown = catalogue.get_panels(visit.app, visit.caller)
    page = visit.page(
        "labels.html",
        found=summary(found, datetime.fromtimestamp(visit.app.clock(), UTC)),
        proposals=visit.app.proposals.page(visit.tenant).proposals,
        panels=[one.panel.name for one in shown.panels if isinstance(one.panel.rule, Calibrated)],
        problem=problem,
        may_propose=visit.may(_PROPOSE),
    )
    return page if problem is None else page.with_status(problem.http_status)


def _proposal(visit: Visit, proposal_id: str, problem: QuorumError | None = None) -> Answer:
    found = visit.app.proposals.read(visit.tenant, proposal_id)
    parts = {"": found.changes, **found.by_language}
    page = visit.page(
        "proposal.html",
        found=found,
        changes={language: _rows(changes) for language, changes in parts.items()},
        steps=_steps(found) if visit.may(_PROPOSE) else (),
        problem=problem,
    )
    return page if problem is None else page.with_status(problem.http_status)


def _steps(found: Proposal) -> tuple[str, ...]:
    """What may be done with a proposal now."""
    return {"proposed": ("shadow", "withdraw"), "shadow": ("promote", "withdraw")}.get(
        str(found.state), ()
    )


def _rows(changes: dict[str, Change]) -> list[Row]:
    return [_row(name, changes[name]) for name in _FIGURES if name in changes]


def _row(name: str, one: Change) -> Row:
    if name == _DOLLARS:
        between = f"{one.change.low:+.4f} … {one.change.high:+.4f}"
        values = (one.before, one.after)
        now, proposed = (f"${value.value:.4f}" for value in values)
        return Row(name, now, proposed, f"{one.change.value:+.4f}", between)
    low, high = 100 * one.change.low, 100 * one.change.high
    return Row(
        name,
        _share(one.before),
        _share(one.after),
        f"{100 * one.change.value:+.1f}",
        f"{low:+.1f} … {high:+.1f}",
    )


def _share(one: Estimate) -> str:
    return f"{one.value:.1%} ({one.low:.1%} … {one.high:.1%})"


PAGES = (
    Page("GET", "labels", _READ, labels, in_navigation=True),
    Page("GET", "labels/export.csv", _READ, export),
    Page("POST", "labels/propose", _PROPOSE, propose),
    Page("GET", "labels/{proposal_id}", ACCESS["GET /proposals/{proposal_id}"], proposal),
    Page("POST", "labels/{proposal_id}/shadow", _PROPOSE, shadow),
    Page("POST", "labels/{proposal_id}/promote", _PROPOSE, promote),
    Page("POST", "labels/{proposal_id}/withdraw", _PROPOSE, withdraw),
)
