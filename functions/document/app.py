"""Documents: from the queue, and as the steps of the document machine."""

from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from quorum.app.documents import DocumentContainer
from quorum.app.opened import opened_once
from quorum.app.settings import DocumentSettings
from quorum.aws.boundary import guarded
from quorum.batch.runs import ended_execution
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
from quorum.document.queue import give_up, handle, record_end
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@opened_once
def app() -> DocumentContainer:
    """The container."""
    return DocumentContainer(DocumentSettings.from_environment())


@guarded
def queue(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Work on the messages of one invocation at once; returns those that stay on the queue."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis())
    outcomes = handle(
        app().document_queue,
        app().batches,
        event["Records"],
        lambda some: app().documents.work(some, deadline),
    )
    return dict(
        process_partial_response(
            event=event, record_handler=outcomes.of, processor=processor, context=context
        )
    )


@guarded
def step(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any] | None:
    """The result of one step of the machine; or an execution that ended is recorded as such."""
    deadline = Deadline.of_lambda(context.get_remaining_time_in_millis(), STEP_SECONDS)
    match ended_execution(event) or STEP.validate_python(event, extra="ignore"):
        case Split() as split:
            return app().long_documents.split(split)
        case AskPiece() as piece:
            app().long_documents.ask(piece, deadline)
        case Merge() as merge:
            return app().long_documents.merge(merge, deadline)
        case DeadLetter() as lost:
            document = app().long_documents.document_of(lost.tenant, lost.position)
            give_up(app().document_queue, document, reason_of(lost.error))
        case Receive() as upload:
            app().document_intake.receive(upload.tenant, upload.batch, upload.upload)
        case Abandon() as lost:
            app().document_intake.abandon(lost.tenant, lost.batch, reason_of(lost.error))
        case ended:
            of = app().long_documents.document_of
            record_end(app().document_queue, app().batches, of, ended)
    return None
