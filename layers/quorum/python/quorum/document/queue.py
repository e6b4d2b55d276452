"""The queue of documents: each message is one document to be worked on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import Json

from quorum.batch.queue import Delivered, ItemQueue, Outcomes, message_body
from quorum.batch.records import Batches
from quorum.core.errors import Undeliverable
from quorum.core.identifiers import item_id_of
from quorum.document.requests import QueuedDocument

Work = Callable[[Sequence[Delivered[QueuedDocument]]], Sequence[Exception | None]]
"""Says of each document why it is not settled, or None."""


class QueuedDocumentRecord(SqsRecordModel):
    """An SQS record whose body is a document."""

    body: Json[QueuedDocument]


def handle(
    queue: ItemQueue, batches: Batches, records: Sequence[Mapping[str, Any]], work: Work
) -> Outcomes:
    """Work on the messages of one invocation; what is not done stays or is dead-lettered."""

    def given_up(
        delivered: Sequence[Delivered[QueuedDocument]], reason: str
    ) -> list[Exception | None]:
        positions = [(one.item.tenant, one.item.position) for one in delivered]
        settled = batches.settled(positions)
        return [None if position in settled else Undeliverable(reason) for position in positions]

    return queue.deliver(records, QueuedDocumentRecord, work, given_up)


def give_up(queue: ItemQueue, document: QueuedDocument, reason: str) -> None:
    """Put a document among the dead letters that no message of the queue stands for now."""
    origin = item_id_of(document.tenant, document.position)
    queue.give_up(document, message_body(document), origin, reason)
