"""The parameters that several routes take."""

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
"""What the function has opened."""


def _table(app: "APIGatewayRestResolver") -> str:
    container: ApiContainer = app.context["container"]()
    return container.settings.verdicts_table


once = idempotent(_table)
"""Middleware of routes that honour an Idempotency-Key."""


def days(start: date | None, end: date | None) -> tuple[date, date]:
    """The days a report is on: to today, and from its month's first, where the query names none.

    Raises `InvalidRequest` for days that make no report.
    """
    last = end or ledger.today()
    first = start or last.replace(day=1)
    ledger.require_days(first, last)
    return first, last
