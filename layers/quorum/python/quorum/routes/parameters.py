"""Parameters that several routes share."""

from datetime import date
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Depends, Request
from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.idempotency import idempotent
from quorum.app.api import ApiContainer
from quorum.ledger import ledger

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver

From = Annotated[date | None, Query(alias="from")]
To = Annotated[date | None, Query(alias="to")]


def _opened(request: Request) -> ApiContainer:
    container: ApiContainer = request.context["container"]()
    return container


App = Annotated[ApiContainer, Depends(_opened)]
"""The function's container."""


def _table(app: "APIGatewayRestResolver") -> str:
    container: ApiContainer = app.context["container"]()
    return container.settings.verdicts_table


once = idempotent(_table)
"""Middleware of routes that honour an Idempotency-Key."""


def days(start: date | None, end: date | None) -> tuple[date, date]:
    """The days of a report, by default from the month's first day to today.

    Raises `InvalidRequest` for an invalid range of days.
    """
    last = end or ledger.today()
    first = start or last.replace(day=1)
    ledger.require_days(first, last)
    return first, last
