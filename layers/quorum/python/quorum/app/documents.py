"""The container of the functions that work on documents."""

from functools import cached_property

from quorum.app.intake import DocumentIntakeContainer
from quorum.document import parsing
from quorum.document.answering import DocumentAnswers
from quorum.document.documents import Documents, ReadText
from quorum.document.learning import Learned
from quorum.document.long_documents import LongDocuments


class DocumentContainer(DocumentIntakeContainer):
    """The members of functions that work on documents."""

    @cached_property
    def document_answers(self) -> DocumentAnswers:
        """Questions about documents, and the results of their answers."""
        return DocumentAnswers(
            self.asking,
            self.batches,
            self.bucket,
            Learned(self.dynamodb, self.settings.usage_table),
            usage_table=self.settings.usage_table,
        )

    @cached_property
    def documents(self) -> Documents:
        """The work on the documents of one invocation."""
        return Documents(
            self.document_answers,
            self.batches,
            self.bucket,
            self.budget,
            self.step_functions,
            self.settings.document_machine,
            at_once=self.settings.documents_at_once,
            reader=read,
        )

    @cached_property
    def long_documents(self) -> LongDocuments:
        """The work on long documents, piece by piece."""
        return LongDocuments(self.document_answers, self.batches, self.bucket, self.budget)


def read(data: bytes, media_type: str | None, name: str | None) -> ReadText:
    """The text of a file; raises `DocumentUnreadable`."""
    parsed = parsing.text_of(data, media_type, name)
    return ReadText(parsed.text, parsed.media_type)
