"""The container of functions that accept documents."""

from functools import cached_property
from typing import TYPE_CHECKING

from quorum.app.answers import AnswerContainer
from quorum.app.queues import QueueContainer
from quorum.aws.bucket import Bucket
from quorum.batch.queue import ItemQueue
from quorum.document.intake import DocumentIntake

if TYPE_CHECKING:
    from quorum.app.settings import DocumentSettings


class DocumentIntakeContainer(AnswerContainer, QueueContainer):
    """The members of functions that accept documents."""

    settings: "DocumentSettings"

    @cached_property
    def bucket(self) -> Bucket:
        """The bucket of documents, their pieces and long answers."""
        return Bucket(self.s3, self.settings.uploads_bucket)

    @cached_property
    def document_queue(self) -> ItemQueue:
        """The queue of documents and its dead letters."""
        return self.queue(self.settings.documents_queue)

    @cached_property
    def document_intake(self) -> DocumentIntake:
        """The intake of documents."""
        settings = self.settings
        return DocumentIntake(
            self.batches,
            self.document_queue,
            self.bucket,
            self.step_functions,
            machine_arn=settings.document_machine,
            default_model=settings.default_model,
        )
