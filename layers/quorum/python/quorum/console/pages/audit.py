"""The page of the audit trail: who changed what, and when; and its entries as a file."""

import json
from http import HTTPStatus

from quorum.api.access import ACCESS
from quorum.audit.chain import Action
from quorum.audit.trail import AuditFilter
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import InvalidRequest

ROWS = 50
"""Entries of a page."""
EXPORT_BYTES = 5_000_000
"""Bytes of a file, as they are in the document that a Lambda answers with, of at most 6 MB."""
LEAST_MILLISECONDS = 5_000
"""Milliseconds of its time that an invocation keeps to answer in."""
_FILTERS = ("action", "by", "person", "subject")


def audit(visit: Visit) -> Answer:
    """The entries, newest first."""
    asked = visit.request.asked
    page = visit.app.audit.page(
        visit.tenant,
        _wanted(visit),
        newest_first=True,
        limit=ROWS,
        after=_number(asked.get("next")),
    )
    kept = {name: asked[name] for name in (*_FILTERS, "from", "to") if asked.get(name)}
    return visit.page(
        "audit.html", entries=page.entries, next=page.next, wanted=kept, actions=list(Action)
    )


def export(visit: Visit) -> Answer:
    """The entries as JSON Lines, oldest first: as many as an answer may hold.

    The name of the file says which they are, and whether the chain goes on after them.
    """
    wanted, after = _wanted(visit), _number(visit.request.asked.get("next"))
    lines: list[str] = []
    numbers: list[int] = []
    size = 0
    ended = full = False
    while not (ended or full):
        page = visit.app.audit.page(visit.tenant, wanted, newest_first=False, after=after)
        for entry in page.entries:
            line = entry.model_dump_json() + "\n"
            size += len(json.dumps(line))
            full = size > EXPORT_BYTES
            if full:
                break
            lines.append(line)
            numbers.append(entry.number)
        after, ended = _number(page.next), page.next is None
        full = full or visit.context.get_remaining_time_in_millis() < LEAST_MILLISECONDS
    which = f"-{numbers[0]}-{numbers[-1]}" if numbers else ""
    name = f"quorum-audit{which}{'' if ended and not full else '-and-more'}.jsonl"
    attached = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Answer(HTTPStatus.OK, "".join(lines), "application/jsonl", headers=attached)


def _wanted(visit: Visit) -> AuditFilter:
    """The filter in the address."""
    asked = visit.request.asked
    wanted = {name: asked[name] for name in _FILTERS if asked.get(name)}
    days = {"start": visit.day("from"), "end": visit.day("to")}
    return visit.read(AuditFilter, wanted | days)


def _number(after: str | None) -> int | None:
    if after is None:
        return None
    if not (after.isascii() and after.isdigit() and len(after) <= 15):  # noqa: PLR2004 as the route's
        raise InvalidRequest("next: is not what a page ended with", code="invalid_next")
    return int(after)


PAGES = (
    Page("GET", "audit", ACCESS["GET /audit"], audit, in_navigation=True),
    Page("GET", "audit/export.jsonl", ACCESS["GET /audit"], export),
)
