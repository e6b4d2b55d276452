"""Pages of keys: issued, shown once, replaced and revoked."""

import re
from datetime import UTC, datetime, time
from typing import TYPE_CHECKING

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.core.errors import InvalidRequest, NotFound, QuorumError
from quorum.core.scopes import SCOPES
from quorum.routes import keys
from quorum.routes.keys import KEY_ID, KeyRequest, RotateRequest

if TYPE_CHECKING:
    from quorum.routes.keys import NewKey

_NEEDS = ACCESS["GET /keys"]
_NUMBERS = ("requests_per_minute", "requests_per_month")
_TEXTS = ("allowed_origin", "panel")
_SWITCHES = ("review_is_flagged", "drop_unsupported_attributes")
OVERLAPS = (0, 1, 24)
"""Hours for which a replaced key may still work, to choose from."""


def listed(visit: Visit) -> Answer:
    """The tenant's keys, without the keys themselves."""
    return _page(visit)


def issue(visit: Visit) -> Answer:
    """Issue a key, and show it this once."""
    try:
        request = visit.read(KeyRequest, _asked(visit))
        issued = keys.issued(request, visit.app, visit.caller)
    except NotFound as problem:  # an unknown panel: a mistake in the form, and no missing page
        raise InvalidRequest(str(problem), code=problem.code, field=problem.field) from problem
    except QuorumError as problem:
        return _page(visit, problem=problem)
    return _page(visit, issued=issued)


def rotate(visit: Visit, key_id: str) -> Answer:
    """Replace a key, and show the new one this once."""
    request = visit.read(RotateRequest, {"overlap_hours": visit.request.number("overlap_hours")})
    return _page(visit, issued=keys.rotated(_id(key_id), request, visit.app, visit.caller))


def revoke(visit: Visit, key_id: str) -> Answer:
    """Revoke a key."""
    keys.delete_key(_id(key_id), visit.app, visit.caller)
    return visit.go("keys")


def _id(given: str) -> str:
    if re.fullmatch(KEY_ID, given) is None:
        raise NotFound("there is no such key", code="key_not_found", field="key_id")
    return given


def _asked(visit: Visit) -> dict[str, object]:
    """The form as the body of `POST /keys`; fields that are left empty are left out."""
    form = visit.request
    asked: dict[str, object] = {"name": form.field("name"), "scopes": form.fields("scope")}
    asked |= {name: form.field(name) for name in _TEXTS if form.field(name)}
    asked |= {name: form.number(name) for name in _NUMBERS if form.field(name)}
    asked |= {name: form.field(name) == "1" for name in _SWITCHES}
    until = form.field("expires_on")
    if until:
        try:
            day = datetime.fromisoformat(until).date()
        except ValueError as error:
            message = "expires_on: must be a day, such as 2026-11-27"
            raise InvalidRequest(message, code="invalid_day", field="expires_on") from error
        asked["expires_at"] = datetime.combine(day, time.max, UTC)
    return asked


def _page(
    visit: Visit, *, issued: "NewKey | None" = None, problem: QuorumError | None = None
) -> Answer:
    page = visit.page(
        "keys.html",
        keys=keys.get_keys(visit.app, visit.caller).keys,
        issued=issued,
        problem=problem,
        scopes=SCOPES,
        typed=visit.request if problem else None,
        overlaps=OVERLAPS,
        own=visit.signed_in.key.id,
    )
    return page if problem is None else page.with_status(problem.http_status)


PAGES = (
    Page("GET", "keys", _NEEDS, listed, in_navigation=True),
    Page("POST", "keys", ACCESS["POST /keys"], issue),
    Page("POST", "keys/{key_id}/rotate", ACCESS["POST /keys/{key_id}/rotate"], rotate),
    Page("POST", "keys/{key_id}/revoke", ACCESS["DELETE /keys/{key_id}"], revoke),
)
