"""The page of the audit trail: who changed what, and when."""

from quorum.api.access import ACCESS
from quorum.audit.chain import Action
from quorum.audit.trail import AuditFilter
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import InvalidRequest

ROWS = 50
"""Entries of a page."""
_FILTERS = ("action", "by", "person", "subject")


def audit(visit: Visit) -> Answer:
    """The entries, newest first."""
    asked = visit.request.asked
    wanted = {name: asked[name] for name in _FILTERS if asked.get(name)}
    start, end = visit.day("from"), visit.day("to")
    page = visit.app.audit.page(
        visit.tenant,
        visit.read(AuditFilter, wanted | {"start": start, "end": end}),
        newest_first=True,
        limit=ROWS,
        after=_number(asked.get("next")),
    )
    kept = wanted | {name: asked[name] for name in ("from", "to") if asked.get(name)}
    return visit.page(
        "audit.html", entries=page.entries, next=page.next, wanted=kept, actions=list(Action)
    )


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) <= 15):  # noqa: PLR2004 as the route's
        raise InvalidRequest("next: is not what a page ended with", code="invalid_next")
    return int(after)


PAGES = (Page("GET", "audit", ACCESS["GET /audit"], audit, in_navigation=True),)
