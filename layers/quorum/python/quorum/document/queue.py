"""The queue of documents: each message is one document to work on."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import Json

from quorum.batch import runs
from quorum.batch.queue import Delivered, ItemQueue, Outcomes, message_body
from quorum.batch.records import Batches
from quorum.batch.runs import EndedExecution
from quorum.core.errors import Undeliverable
from quorum.core.identifiers import item_id_of
from quorum.core.position import BatchPosition
from quorum.document.requests import QueuedDocument

Work = Callable[[Sequence[Delivered[QueuedDocument]]], Sequence[Exception | None]]
"""Works on documents; returns the error of each that is not settled, else None."""


class QueuedDocumentRecord(SqsRecordModel):
    """An SQS record whose body is a document."""

    body: Json[QueuedDocument]


def handle(
    queue: ItemQueue, batches: Batches, records: Sequence[Mapping[str, Any]], work: Work
) -> Outcomes:
    """Work on the messages of one invocation; unfinished ones stay or are dead-lettered."""

    def given_up(
        delivered: Sequence[Delivered[QueuedDocument]], reason: str
    ) -> list[Exception | None]:
        positions = [(one.item.tenant, one.item.position) for one in delivered]
        settled = batches.settled(positions)
        return [None if position in settled else Undeliverable(reason) for position in positions]

    return queue.deliver(records, QueuedDocumentRecord, work, given_up)


def give_up(queue: ItemQueue, document: QueuedDocument, reason: str) -> None:
    """Dead-letter a document that has no message on the queue."""
    origin = item_id_of(document.tenant, document.position)
    queue.give_up(document, message_body(document), origin, reason)


def record_end(
    queue: ItemQueue,
    batches: Batches,
    document_of: Callable[[str, BatchPosition], QueuedDocument],
    ended: EndedExecution,
) -> None:
    """Record an end that the machine did not: of an upload's run, or of a long document.

    Raises `StoreUnavailable` and `NotFound`.
    """
    tenant, position = ended.input.tenant, ended.input.position
    if position is None:
        runs.record_end(batches, ended)
    elif not batches.has_ended(tenant, position):
        give_up(queue, document_of(tenant, position), ended.problem)
