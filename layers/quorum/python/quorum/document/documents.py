"""Documents of batches, from the queue: each is one call, or one run of the document machine.

::

    message ─► text read from the file ─► fits the model: asked ─► settled
                                       └► too long: the machine (quorum.document.long_documents)

An unreadable document is rejected. A refusal or an invalid answer is settled as failed. A document
whose model may answer later goes back to the queue; any other failure is dead-lettered.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from quorum.aws.bucket import Bucket
from quorum.aws.faults import unavailable
from quorum.batch.records import Batches
from quorum.core.errors import (
    DocumentUnreadable,
    NotFound,
    TooLarge,
    Undeliverable,
)
from quorum.core.identifiers import item_id_of
from quorum.document import keys, operations
from quorum.document.answering import Conclusion, DocumentAnswers, Failed, Task, transient
from quorum.document.requests import QueuedDocument

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

    from quorum.batch.alerts import BatchBudget
    from quorum.batch.queue import Delivered
    from quorum.gateway.deadline import Deadline


DOCUMENT_BYTES = 10 * 1024 * 1024
"""Bytes of one document as submitted; the text read from it has limits of its own."""


class ReadText(NamedTuple):
    """The text read from a document, and its media type."""

    text: str
    media_type: str | None


Reader = Callable[[bytes, str | None, str | None], ReadText]
"""Reads the text of a file from its bytes, media type and name; raises `DocumentUnreadable`."""


class Documents:
    """Works on documents, `at_once` of them at a time."""

    def __init__(
        self,
        answers: DocumentAnswers,
        batches: Batches,
        bucket: Bucket,
        budget: "BatchBudget",
        machine: "SFNClient",
        machine_arn: str,
        *,
        at_once: int,
        reader: Reader,
    ) -> None:
        self._answers = answers
        self._batches = batches
        self._bucket = bucket
        self._budget = budget
        self._machine = machine
        self._machine_arn = machine_arn
        self._reader = reader
        self._workers = ThreadPoolExecutor(at_once)

    def work(
        self, delivered: Sequence["Delivered[QueuedDocument]"], deadline: "Deadline"
    ) -> list[Exception | None]:
        """The error of each document that is not settled; None if nothing is left to do here.

        `Undeliverable` can never be settled; `Postponed` and `BudgetSpent` say when to try again;
        any other error is a failure.
        """
        # A document that comes twice in one invocation is worked on once.
        wanted = {(one.item.tenant, one.item.position): one for one in delivered}
        records = self._batches.facts({(tenant, position.batch) for tenant, position in wanted})
        works = {key: operations.work_of(record.work) for key, record in records.items()}
        settled = self._batches.settled(wanted)

        def do(one: "Delivered[QueuedDocument]") -> Exception | None:
            item = one.item
            if (item.tenant, item.position) in settled:
                return None
            key = item.tenant, item.position.batch
            work = works.get(key)
            if work is None:
                return Undeliverable("there is no such batch")
            if records[key].is_cancelled:
                return None
            return self._outcome(one, Task(item, work, deadline))

        outcomes = dict(zip(wanted, self._workers.map(do, wanted.values()), strict=True))
        for tenant, batch in records:
            self._budget.watch(tenant, {batch})
        return [outcomes[one.item.tenant, one.item.position] for one in delivered]

    def _outcome(self, one: "Delivered[QueuedDocument]", task: Task) -> Exception | None:
        try:
            self._do(one, task)
        except DocumentUnreadable as unreadable:
            self._answers.reject(one.item, unreadable)
        except Exception as error:  # noqa: BLE001 - reported to the queue, message by message
            return transient(error)
        return None

    def _do(self, one: "Delivered[QueuedDocument]", task: Task) -> None:
        read = self._read(task.item)
        item = task.item.model_copy(update={"media_type": read.media_type})
        task = Task(item, task.work, task.deadline, task.taken)
        if operations.is_long(task.work, read.text):
            self._start(item, read, one.message_id)
            return
        try:
            asked = operations.question(task.work, read.text)
            concluded = Conclusion(answer=self._answers.answer(task, asked, task.name))
        except Failed as failed:
            concluded = Conclusion(failure=failed.failure)
        self._answers.settle(task, concluded)

    def _read(self, item: QueuedDocument) -> ReadText:
        try:
            body = self._bucket.get(item.key, most_bytes=DOCUMENT_BYTES)
        except TooLarge as error:
            raise DocumentUnreadable(error.message, code=error.code) from error
        except NotFound as error:
            raise DocumentUnreadable("the document's content is gone", code=error.code) from error
        if item.is_text:
            return ReadText(body.decode(errors="replace"), item.media_type or "text/plain")
        return self._reader(body, item.media_type, item.name)

    def _start(self, item: QueuedDocument, read: ReadText, message_id: str) -> None:
        """Start the machine on a long document, unless it runs already.

        An execution is named after its item. If that execution has ended and the item is not
        settled, it was given up and redriven: the next is named after the message as well.
        """
        if not item.is_text:
            text_key = f"{keys.document_key(item.tenant, item.position)}.txt"
            self._bucket.put(text_key, read.text.encode(errors="replace"))
            item = item.model_copy(update={"key": text_key, "is_text": True})
        written = item.model_dump(mode="json", exclude_defaults=True)
        self._bucket.put_json(keys.message_key(item.tenant, item.position), written)
        given = json.dumps({"tenant": item.tenant, "position": item.position.model_dump()})
        name = item_id_of(item.tenant, item.position)
        for attempt in (name, f"{name}-{message_id}"):
            with unavailable("the document machine could not be started"):
                try:
                    self._machine.start_execution(
                        stateMachineArn=self._machine_arn, name=attempt, input=given
                    )
                except self._machine.exceptions.ExecutionAlreadyExists:
                    if self._runs(attempt):
                        return
                else:
                    return

    def _runs(self, name: str) -> bool:
        arn = f"{self._machine_arn.replace(':stateMachine:', ':execution:')}:{name}"
        return self._machine.describe_execution(executionArn=arn)["status"] == "RUNNING"
