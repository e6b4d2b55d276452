"""The caller of a request, as the authorizer knows it, and the check for the deployment's operator.

Scopes are checked before a request is read (`quorum.api.admission`).
"""

from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Request, Response

from quorum.aws.keys import Caller
from quorum.core.errors import NotAllowed

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware


def caller_of(event: Any) -> Caller:
    """The caller of API Gateway's `event`; a caller without a role is a member."""
    return Caller.given(event["requestContext"]["authorizer"])


def key_hash_of(event: Any) -> str:
    """The hash of the caller's key."""
    return str(event["requestContext"]["authorizer"]["key_hash"])


def _calling(request: Request) -> Caller:
    return caller_of(request.resolved_event)


Calling = Annotated[Caller, Depends(_calling)]
"""The parameter of a route that gets its caller."""


def require_deployment_operator(caller: Caller) -> None:
    """Raise `NotAllowed` for a key that is not the deployment's operator's."""
    if caller.role != "deployment_operator":
        raise NotAllowed(
            "this request needs the key of the deployment's operator",
            code="deployment_operators_only",
        )


def deployment_operators_only(
    app: "APIGatewayRestResolver", next_middleware: "NextMiddleware"
) -> Response[Any]:
    """Middleware of routes that only the deployment's operator may use."""
    require_deployment_operator(caller_of(app.current_event))
    return next_middleware(app)
