"""Chat over a WebSocket: receives messages within milliseconds; `functions/converse` answers."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayWebSocketEvent, event_source
from quorum.app.chat import ReceptionContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ReceptionSettings
from quorum.aws.boundary import guarded
from quorum.aws.keys import Caller
from quorum.chat.conversations import Connected

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> ReceptionContainer:
    """The container."""
    return ReceptionContainer(ReceptionSettings.from_environment())


@guarded
@event_source(data_class=APIGatewayWebSocketEvent)
def handler(event: APIGatewayWebSocketEvent, _context: "LambdaContext") -> dict[str, Any]:
    """Handle one event of the WebSocket API: a client connected, left, or sent a message."""
    connection = event.request_context.connection_id
    match event.request_context.route_key:
        case "$connect":
            known = event.request_context["authorizer"]
            caller = Caller(tenant=known["tenant"], role=known["role"])
            app().reception.connect(connection, caller, known["key_hash"])
        case "$disconnect":
            app().reception.disconnect(connection)
        case _:
            app().reception.receive(connection, event.decoded_body, _caller(event))
    return {"statusCode": 200}


def _caller(event: APIGatewayWebSocketEvent) -> Connected | None:
    """The caller as the authorizer named it when the connection was opened, if a message says so.

    API Gateway repeats it with every message, but its documentation does not promise that.
    """
    known = event.request_context.get("authorizer") or {}
    if "key_hash" not in known:
        return None
    return Connected(tenant=known["tenant"], role=known["role"], key_hash=known["key_hash"])
