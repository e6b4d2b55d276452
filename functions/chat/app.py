"""Chat over a WebSocket: receives messages within milliseconds; `functions/converse` answers."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayWebSocketEvent, event_source
from quorum.app.chat import ReceptionContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ReceptionSettings
from quorum.aws.boundary import guarded
from quorum.aws.keys import Caller

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
            app().reception.receive(connection, event.decoded_body)
    return {"statusCode": 200}
