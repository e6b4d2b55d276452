"""Chat over a WebSocket: `route` takes what comes in, `converse` streams an answer."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.data_classes import APIGatewayWebSocketEvent, event_source
from quorum.app.chat import ReceptionContainer
from quorum.app.converse import ConverseContainer
from quorum.app.settings import ConverseSettings, ReceptionSettings
from quorum.aws import loop
from quorum.aws.keys import Caller
from quorum.chat.chat import Asked
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@cache
def app() -> ReceptionContainer:
    """What `route` opens, once per environment."""
    return ReceptionContainer(ReceptionSettings.from_environment())


@cache
def answering() -> ConverseContainer:
    """What `converse` opens, once per environment."""
    return ConverseContainer(ConverseSettings.from_environment())


@event_source(data_class=APIGatewayWebSocketEvent)
def route(event: APIGatewayWebSocketEvent, _context: "LambdaContext") -> dict[str, Any]:
    """One event of the WebSocket API: somebody came, went, or said something."""
    connection = event.request_context.connection_id
    match event.request_context.route_key:
        case "$connect":
            known = event.request_context["authorizer"]
            caller = Caller(tenant=known["tenant"], role=known["role"])
            app().reception.connect(connection, caller)
        case "$disconnect":
            app().reception.disconnect(connection)
        case _:
            app().reception.receive(connection, event.decoded_body)
    return {"statusCode": 200}


def converse(event: dict[str, Any], context: "LambdaContext") -> None:
    """Stream the answer to one request (`quorum.chat.chat.Asked`)."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    loop.run(answering().conversing.converse(Asked.model_validate(event), deadline))
