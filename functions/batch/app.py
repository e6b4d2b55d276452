"""SQS → verdicts: messages that may succeed later stay, others are dead-lettered."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from quorum.app.bulk import BatchContainer
from quorum.app.opened import opened_once
from quorum.app.settings import BatchSettings
from quorum.aws.boundary import guarded
from quorum.bulk.queue import handle
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@opened_once
def app() -> BatchContainer:
    """The container."""
    return BatchContainer(BatchSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judge the messages of one invocation at once; returns those that stay on the queue."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    outcomes = handle(app().item_queue, event["Records"], app().judging, deadline)
    return dict(
        process_partial_response(
            event=event, record_handler=outcomes.of, processor=processor, context=context
        )
    )
