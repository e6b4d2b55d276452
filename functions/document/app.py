"""Documents: from the queue, and as the steps of the document machine."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from quorum.app import container
from quorum.app.settings import DocumentSettings
from quorum.document.long_documents import (
    STEP,
    STEP_SECONDS,
    Abandon,
    AskPiece,
    DeadLetter,
    Merge,
    Receive,
    Split,
    reason_of,
)
from quorum.document.queue import give_up, handle
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.answer.asking import Asking
    from quorum.batch.queue import ItemQueue
    from quorum.batch.records import Batches
    from quorum.document.answering import DocumentAnswers
    from quorum.document.documents import Documents
    from quorum.document.intake import DocumentIntake
    from quorum.document.long_documents import LongDocuments

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def settings() -> DocumentSettings:
    """These functions' settings, read once per environment."""
    return DocumentSettings.from_environment()


@cache
def asking() -> "Asking":
    """Models asked for answers, opened once per environment: its connections stay open."""
    return container.asking(settings())


@cache
def answers() -> "DocumentAnswers":
    """Who asks about documents and settles them, opened once per environment."""
    return container.document_answers(settings(), asking())


@cache
def documents() -> "Documents":
    """Who works through documents, opened once per environment."""
    return container.documents(settings(), answers())


@cache
def long_documents() -> "LongDocuments":
    """Who works through long ones piece by piece, opened once per environment."""
    return container.long_documents(settings(), answers())


@cache
def waiting() -> "ItemQueue":
    """The queue of documents, opened once per environment."""
    return container.document_queue(settings())


@cache
def batches() -> "Batches":
    """The batches, opened once per environment."""
    return container.batches(settings())


@cache
def intake() -> "DocumentIntake":
    """How documents come in, opened once per environment."""
    return container.document_intake(settings())


def queue(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Works through the messages of one invocation at once; reports which ones stay."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    outcomes = handle(
        waiting(), batches(), event["Records"], lambda some: documents().work(some, deadline)
    )
    return dict(
        process_partial_response(
            event=event, record_handler=outcomes.of, processor=processor, context=context
        )
    )


def step(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any] | None:
    """What one step of the machine came to."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis(), STEP_SECONDS)
    match STEP.validate_python(event):
        case Split() as split:
            return long_documents().split(split)
        case AskPiece() as piece:
            long_documents().ask(piece, deadline)
        case Merge() as merge:
            return long_documents().merge(merge, deadline)
        case DeadLetter() as lost:
            document = long_documents().document_of(lost.tenant, lost.position)
            give_up(waiting(), document, reason_of(lost.error))
        case Receive() as upload:
            intake().receive(upload.tenant, upload.batch, upload.upload)
        case Abandon() as lost:
            intake().abandon(lost.tenant, lost.batch, reason_of(lost.error))
    return None
