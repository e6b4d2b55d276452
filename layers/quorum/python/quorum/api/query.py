"""The names of a request's query parameters: one that its route does not have is refused.

A filter that is misspelt would otherwise be none, and all would be listed. One that is given
several times where one value counts is refused as such.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler.openapi.compat import is_sequence_field

from quorum.core.errors import InvalidRequest
from quorum.core.rejection import NAME_REPEATED, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware

    Middleware = Callable[[APIGatewayRestResolver, NextMiddleware], Response[Any]]

CODE = "unknown_parameter"
_OF_EVERY_ROUTE = frozenset({"key"})
"""The API key, which the authorizer reads."""


def only_known(
    ignored: "Mapping[str, frozenset[str]]" = MappingProxyType({}),
) -> "Middleware":
    """Middleware that raises `InvalidRequest` for a parameter that the route does not have.

    `ignored` are parameters of another API that routes take and do not use, by route.
    """

    def check(app: "APIGatewayRestResolver", next_middleware: "NextMiddleware") -> "Response[Any]":
        event, route = app.current_event, app.context["_route"]
        if not route.responses:  # Powertools' own answer to an unknown address
            return next_middleware(app)
        sent = {
            *(event.get("queryStringParameters") or {}),
            *(event.get("multiValueQueryStringParameters") or {}),
        }
        known = [one.alias for one in route.dependant.query_params]
        taken = _OF_EVERY_ROUTE | ignored.get(str(event.get("resource")), frozenset())
        for name in sorted(sent.difference(known, taken)):
            raise _unknown(name, known)
        return next_middleware(app)

    return check


def _unknown(name: str, known: "list[str]") -> InvalidRequest:
    has = f"it has {', '.join(known)}" if known else "it has none"
    return InvalidRequest(
        f"{shown(name)}: this route has no such query parameter; {has}",
        code=CODE,
        field=shown(name),
        limit=", ".join(known) or None,
    )


def repeated(app: "APIGatewayRestResolver", error: "Mapping[str, Any]") -> InvalidRequest | None:
    """The refusal of a parameter that is given several times, if pydantic's `error` is about one.

    Powertools validates before any middleware, and says that a list of values has the wrong type.
    """
    several = app.current_event.get("multiValueQueryStringParameters") or {}
    for one in app.context["_route"].dependant.query_params:
        refused = error["loc"][:2] == ("query", one.alias) and not is_sequence_field(one)
        if refused and len(several.get(one.alias, ())) > 1:
            return InvalidRequest(
                f"{one.alias}: stands several times in the query; only one value could count",
                code=NAME_REPEATED,
                field=one.alias,
            )
    return None
