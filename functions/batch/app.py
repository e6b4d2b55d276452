"""SQS → verdicts: what fails goes back to the queue, what is poison ends in the dead letters."""

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import Json
from quorum import books, panel
from quorum.batches import verdict_id_of
from quorum.requests import QueuedItem
from quorum.settings import WorkflowSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.workflow import Workflow


class QueuedRecord(SqsRecordModel):
    """An SQS record whose body is an item."""

    body: Json[QueuedItem]


processor = AsyncBatchProcessor(event_type=EventType.SQS, model=QueuedRecord)


@cache
def settings() -> WorkflowSettings:
    """This function's settings, read once per environment."""
    return WorkflowSettings.from_environment()


@cache
def workflow() -> "Workflow":
    """The vote machine, opened once per environment."""
    return books.workflow(settings())


async def judge(record: QueuedRecord) -> None:
    """The verdict on one item; a message delivered again finds the verdict it already has."""
    item = record.body
    seated = panel.packaged(item.panel or settings().default_panel)
    await asyncio.to_thread(
        workflow().moderate,
        item.tenant,
        item.to_content(),
        seated,
        verdict_id_of(item.tenant, record.messageId),
    )


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judges the records of one invocation at once; reports which ones failed."""
    return dict(
        async_process_partial_response(
            event=event, record_handler=judge, processor=processor, context=context
        )
    )
