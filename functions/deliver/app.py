"""SQS → the event bus, and webhooks."""

from typing import TYPE_CHECKING, Any

from quorum.app.events import DeliverContainer
from quorum.app.opened import opened_once
from quorum.app.settings import DeliverSettings
from quorum.aws.boundary import guarded
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> DeliverContainer:
    """The container."""
    return DeliverContainer(DeliverSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Deliver the messages of one invocation; returns those that stay on the queue."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    again = app().deliveries.handle(event["Records"], deadline)
    return {"batchItemFailures": [{"itemIdentifier": one} for one in again]}
