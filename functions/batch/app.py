"""SQS → verdicts: what fails goes back to the queue, what is poison ends in the dead letters."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import Json
from quorum import books
from quorum.batches import verdict_id_of
from quorum.requests import QueuedItem
from quorum.settings import BatchSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.panels import Panels
    from quorum.workflow import Workflow


class QueuedRecord(SqsRecordModel):
    """An SQS record whose body is an item."""

    body: Json[QueuedItem]


processor = AsyncBatchProcessor(event_type=EventType.SQS, model=QueuedRecord)


@cache
def settings() -> BatchSettings:
    """This function's settings, read once per environment."""
    return BatchSettings.from_environment()


@cache
def workflow() -> "Workflow":
    """The vote machine, opened once per environment."""
    return books.workflow(settings())


@cache
def panels() -> "Panels":
    """The deployment's panels, opened once per environment."""
    return books.panels(settings())


@cache
def desks() -> ThreadPoolExecutor:
    """So many items are judged at once."""
    return ThreadPoolExecutor(settings().items_at_once)


async def judge(record: QueuedRecord) -> None:
    """The verdict on one item; a message delivered again finds the verdict it already has."""
    await asyncio.get_running_loop().run_in_executor(desks(), moderate, record)


def moderate(record: QueuedRecord) -> None:
    """As `judge`, in a thread of its own."""
    item = record.body
    seated = panels().get(item.tenant, item.panel or settings().default_panel)
    verdict_id = verdict_id_of(item.tenant, record.messageId)
    workflow().moderate(item.tenant, item.to_content(), seated, verdict_id)


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Judges the records of one invocation at once; reports which ones failed."""
    return dict(
        async_process_partial_response(
            event=event, record_handler=judge, processor=processor, context=context
        )
    )
