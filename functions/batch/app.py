"""SQS → verdicts: what may be had later goes back, what never can goes to the dead letters."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from quorum.app import container
from quorum.app.settings import BatchSettings
from quorum.bulk.queue import handle

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.batch.queue import ItemQueue
    from quorum.bulk.judging import Judging

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def queue() -> "ItemQueue":
    """The queue of items, opened once per environment."""
    return container.item_queue(BatchSettings.from_environment())


@cache
def judging() -> "Judging":
    """Who judges the items, opened once per environment."""
    return container.judging(BatchSettings.from_environment())


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judges the messages of one invocation at once; reports which ones stay on the queue."""
    outcomes = handle(queue(), event["Records"], judging())
    return dict(
        process_partial_response(
            event=event, record_handler=outcomes.of, processor=processor, context=context
        )
    )
