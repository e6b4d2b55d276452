"""Authorization: an API key, wherever a client sends it → tenant, role and rights."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import event_source
from aws_lambda_powertools.utilities.data_classes.api_gateway_authorizer_event import (
    APIGatewayAuthorizerRequestEvent,
    APIGatewayAuthorizerResponse,
    APIGatewayAuthorizerResponseWebSocket,
)
from quorum.app.keys import AuthorizeContainer
from quorum.app.opened import opened_once
from quorum.app.settings import AuthorizeSettings
from quorum.aws.boundary import guarded
from quorum.aws.keys import GOOGLES_ROUTES, REFUSED, Caller, hash_of
from quorum.core.errors import Unauthorized

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> AuthorizeContainer:
    """The container."""
    return AuthorizeContainer(AuthorizeSettings.from_environment())


@guarded
@event_source(data_class=APIGatewayAuthorizerRequestEvent)
def handler(event: APIGatewayAuthorizerRequestEvent, _context: "LambdaContext") -> dict[str, Any]:
    """An IAM policy for the caller; API Gateway turns the message `Unauthorized` into a 401."""
    # A route of the chat's WebSocket has no method.
    chat = "connectionId" in event["requestContext"]
    key = key_of(event)
    found = app().keys.find(hash_of(key)) if key else None
    may = found and (not chat or found.may_chat(event.headers.get("origin")))
    caller = found.caller if found and may else None
    # These routes say themselves, in another API's form, that a key is missing or unknown.
    googles = event["requestContext"].get("resourcePath") in GOOGLES_ROUTES
    # A client over HTTP can tell a wrong key (401) from a missing right (403). Of a WebSocket it is
    # told 403 for either.
    if caller is None and not googles and not chat:
        raise Unauthorized
    arn = event.parsed_arn
    response = APIGatewayAuthorizerResponseWebSocket if chat else APIGatewayAuthorizerResponse
    policy = response(
        principal_id=caller.tenant if caller else "nobody",
        region=arn.region,
        aws_account_id=arn.aws_account_id,
        api_id=arn.api_id,
        stage=arn.stage,
        partition=arn.partition,
        context=_context_of(caller, key),
    )
    if caller and key:
        app().keys.note_use(hash_of(key))
        policy.allow_all_routes()
    elif googles:
        policy.allow_route(http_method="POST", resource="/v1alpha1/*")
    else:
        policy.deny_all_routes()
    return policy.asdict()


def _context_of(caller: Caller | None, key: str | None) -> dict[str, Any]:
    """What the function behind is told of the caller and its key, or of the lack of one."""
    if caller is None:
        return {REFUSED: "unknown" if key else "missing"}
    return caller.context() | {"key_hash": hash_of(key or "")}


def key_of(event: APIGatewayAuthorizerRequestEvent) -> str | None:
    """The key the caller sent, wherever it sent it."""
    scheme, _, token = (event.headers.get("authorization") or "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else None
    # API Gateway sends null if there is no query.
    query: dict[str, str] = event.query_string_parameters or {}
    sent = event.headers.get("x-api-key") or event.headers.get("x-goog-api-key")
    return sent or bearer or query.get("key")
