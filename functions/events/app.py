"""Changes of the Verdicts table, and alerts → events, stored and queued for delivery."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from quorum.app.events import PublishContainer
from quorum.app.opened import opened_once
from quorum.app.settings import PublishSettings
from quorum.aws.boundary import guarded
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> PublishContainer:
    """The container."""
    return PublishContainer(PublishSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Publish what a batch of the stream, or a message of the topic of alerts, tells.

    Returns where in the stream to begin again, if not all could be published.
    """
    changes = [one for one in event["Records"] if "dynamodb" in one]
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    again = app().publishing.changed(changes, deadline) if changes else None
    for one in event["Records"]:
        if "Sns" in one:
            at = datetime.fromisoformat(one["Sns"]["Timestamp"])
            app().publishing.alerted(one["Sns"]["Message"], at)
    failed = [] if again is None else [{"itemIdentifier": again}]
    return {"batchItemFailures": failed}
