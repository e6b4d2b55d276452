"""Chat over a WebSocket: streams one answer to its client."""

from typing import TYPE_CHECKING, Any

from quorum.app.converse import ConverseContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ConverseSettings
from quorum.aws import loop
from quorum.aws.boundary import guarded
from quorum.chat.chat import Asked
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> ConverseContainer:
    """The container."""
    return ConverseContainer(ConverseSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> None:
    """Stream the answer to one request (`quorum.chat.chat.Asked`)."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    loop.run(app().conversing.converse(Asked.model_validate(event, extra="ignore"), deadline))
