"""Pages of verdicts: a list, and one explained vote by vote with its history."""

from collections.abc import Mapping

from quorum.api.access import ACCESS
from quorum.audit.trail import AuditFilter
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import InvalidRequest
from quorum.core.models import Category, Decision
from quorum.routes import verdicts
from quorum.routes.parameters import period
from quorum.vote.verdict_list import VerdictFilter

ROWS = 50
"""Verdicts of a page."""
HISTORY = 50
"""Entries of a verdict's history."""
HISTORY_QUERIES = 2
"""Queries for a verdict's history: of a long trail the latest entries are looked at, and the page
of the audit trail goes on from there."""
_FILTERS = ("decision", "category", "panel", "policy", "language")
_METADATA = "metadata"
_TIMES = ("from", "from_time", "to", "to_time")


def listed(visit: Visit) -> Answer:
    """Verdicts of some time, newest first, without their texts."""
    asked = visit.request.asked
    wanted = {name: asked[name] for name in _FILTERS if asked.get(name)}
    entries = (asked[_METADATA],) if asked.get(_METADATA) else ()
    page = visit.app.verdict_list.page(
        visit.tenant,
        visit.read(VerdictFilter, wanted | {_METADATA: entries}),
        period(_moment(asked, "from"), _moment(asked, "to")),
        limit=ROWS,
        after=asked.get("next"),
    )
    return visit.page(
        "verdicts.html",
        verdicts=page.verdicts,
        next=page.next,
        wanted=wanted | {name: asked[name] for name in (_METADATA, *_TIMES) if asked.get(name)},
        decisions=list(Decision),
        categories=list(Category),
    )


def _moment(asked: Mapping[str, str], name: str) -> str | None:
    """The day of a field, with the time (UTC) of the field beside it; raises `InvalidRequest`."""
    day, clock = asked.get(name), asked.get(f"{name}_time")
    if not clock:
        return day or None
    if not day:
        raise InvalidRequest(
            f"{name}: needs a day for the time beside it", code=f"invalid_{name}", field=name
        )
    return f"{day}T{clock}:00Z"


def explained(visit: Visit, verdict_id: str) -> Answer:
    """A verdict with its votes and, for operators, what people did about it."""
    verdict = verdicts.get_verdict(verdict_id, visit.app, visit.caller)
    history = None
    if visit.may(ACCESS["GET /audit"]):
        wanted = AuditFilter(subject=f"verdict/{verdict_id}")
        history = visit.app.audit.page(
            visit.tenant, wanted, newest_first=True, limit=HISTORY, queries=HISTORY_QUERIES
        )
    return visit.page("verdict.html", verdict=verdict, history=history)


PAGES = (
    Page("GET", "verdicts", ACCESS["GET /verdicts"], listed, in_navigation=True),
    Page("GET", "verdicts/{verdict_id}", ACCESS["GET /verdicts/{verdict_id}"], explained),
)
