"""The names of a request's query parameters: one that its route does not have is refused.

A filter that is misspelt would otherwise be none, and all would be listed.
"""

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from quorum.core.errors import InvalidRequest
from quorum.core.rejection import shown

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
