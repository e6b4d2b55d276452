"""Parameters that several routes share."""

from datetime import date
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypeVar

from aws_lambda_powertools.event_handler import Depends, Request, Response
from aws_lambda_powertools.event_handler.openapi.params import Header, Query

from quorum.api.idempotency import idempotent
from quorum.app.api import ApiContainer
from quorum.audit.chain import Action, Change
from quorum.aws.versions import Writer
from quorum.core.errors import InvalidRequest
from quorum.core.json_types import Day
from quorum.core.periods import LENGTH_LIMIT, STEP, Period, end_of, start_of
from quorum.ledger import ledger

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver

    from quorum.aws.keys import Caller
    from quorum.vote.panel import Panel


_NOTHING_BETWEEN = ("to", "must be after from")


class _Versioned(Protocol):
    """A view of a document."""

    @property
    def version(self) -> str: ...


V = TypeVar("V", bound=_Versioned)

From = Annotated[Day | None, Query(alias="from")]
To = Annotated[Day | None, Query(alias="to")]
_MOMENT: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "format": "date"},
        {"type": "string", "format": "date-time"},
        {"type": "null"},
    ]
}
FromMoment = Annotated[
    str | None, Query(alias="from", max_length=LENGTH_LIMIT, json_schema_extra=_MOMENT)
]
ToMoment = Annotated[
    str | None, Query(alias="to", max_length=LENGTH_LIMIT, json_schema_extra=_MOMENT)
]


def _opened(request: Request) -> ApiContainer:
    container: ApiContainer = request.context["container"]()
    return container


IfMatch = Annotated[str | None, Header(alias="If-Match", min_length=1, max_length=64)]
"""The version that a change is written for, as the ETag says it; `*` is any."""

App = Annotated[ApiContainer, Depends(_opened)]
"""The function's container."""


def _table(app: "APIGatewayRestResolver") -> str:
    container: ApiContainer = app.context["container"]()
    return container.settings.verdicts_table


once = idempotent(_table)
"""Middleware of routes that honour an Idempotency-Key."""
once_with_secret = idempotent(_table, shown_once=True)
"""The same, of routes whose answer holds a secret: a repeated request makes no second one."""


def version_in(if_match: str | None) -> str | None:
    """The version in the header; without the quotes that an ETag has."""
    return None if if_match is None else if_match.removeprefix("W/").strip('"')


def who(caller: "Caller") -> str:
    """The name of the caller's key; its role where it was issued without a name."""
    return caller.name or caller.role


def panel_of(app: ApiContainer, caller: "Caller", name: str | None) -> "Panel":
    """The panel called `name`; without a name the key's own, else the deployment's default one.

    Raises `PanelInvalid`.
    """
    return app.panels.get(caller.tenant, name or default_panel(app, caller))


def default_panel(app: ApiContainer, caller: "Caller") -> str:
    """The name of the panel that judges where a request of the caller names none."""
    return caller.panel or app.settings.default_panel


def recorded(app: ApiContainer, caller: "Caller", action: Action, subject: str) -> Writer:
    """What writes a change of a version, with its entry in the audit trail."""

    def write(before: str | None, after: str | None, items: list[dict[str, Any]]) -> list[int]:
        change = Change(
            action=action,
            by=who(caller),
            subject=subject,
            before={} if before is None else {"version": before},
            after={} if after is None else {"version": after},
        )
        return app.audit.write(caller.tenant, change, items)

    return write


def tagged(view: V) -> Response[V]:
    """The answer with a document, whose version is its ETag."""
    headers = {"ETag": f'"{view.version}"'}
    return Response(HTTPStatus.OK.value, "application/json", view, headers=headers)


def days(start: date | None, end: date | None) -> tuple[date, date]:
    """The days of a report, by default from the month's first day to today.

    Raises `InvalidRequest` for an invalid range of days.
    """
    last = end or ledger.today()
    first = start or last.replace(day=1)
    ledger.require_days(first, last)
    return first, last


def period(start: str | None, end: str | None) -> Period:
    """The moments of a list, by default from the month's beginning to the end of today.

    Raises `InvalidRequest` for an invalid end, or if nothing is between both.
    """
    after = Period.of_days(ledger.today(), ledger.today()).end if end is None else end_of(end)
    last = (after - STEP).date()
    found = Period(start_of(last.replace(day=1).isoformat() if start is None else start), after)
    if found.start >= found.end:
        field, message = ("from", "must not be after today") if end is None else _NOTHING_BETWEEN
        raise InvalidRequest(f"{field}: {message}", code=f"invalid_{field}", field=field)
    ledger.require_days(found.start.date(), last)
    return found
