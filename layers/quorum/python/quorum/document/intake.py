"""The intake of documents: validates them one by one, stores their contents and queues them.

The API queues the documents of a request; the document machine, which has more time, queues those
of an upload. Every step may be repeated: contents are written under the same names, and a message
that comes twice is settled once.
"""

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from quorum.aws.bucket import Bucket
from quorum.aws.faults import unavailable
from quorum.batch.intake import BatchTaken, hand_in, refusals, reject, require_some
from quorum.batch.kinds import Redriven
from quorum.batch.progress import BatchRecord, Kind
from quorum.batch.queue import ItemQueue
from quorum.batch.records import Batches
from quorum.core import registry
from quorum.core.errors import NotFound, Undeliverable
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection
from quorum.document.keys import document_key
from quorum.document.operations import Work
from quorum.document.requests import (
    LINE_BYTES,
    DocumentRequest,
    DocumentsRequest,
    QueuedDocument,
    read_document,
)

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

UPLOADED_LIMIT = 100_000
"""Documents of one upload: as many as can be queued within a function's 900 s."""
_TOGETHER = 100
"""Documents of an upload that are queued together at most."""
_BYTES_TOGETHER = 32 * 1024 * 1024
"""Bytes of the documents that are queued together at most."""
_WORKERS = 16


class DocumentIntake:
    """Takes documents from requests and uploads; `machine` reads the uploads."""

    def __init__(
        self,
        batches: Batches,
        queue: ItemQueue,
        bucket: Bucket,
        machine: "SFNClient",
        *,
        machine_arn: str,
        default_model: str,
    ) -> None:
        self._batches = batches
        self._queue = queue
        self._bucket = bucket
        self._machine = machine
        self._machine_arn = machine_arn
        self._default_model = default_model

    def start(self, tenant: str, batch: str, request: DocumentsRequest) -> BatchTaken:
        """Record the documents as the batch with that id and queue them; returns the answer.

        Raises `ModelUnknown`, `InvalidRequest`, `TooLarge`, `NotFound` and `StoreUnavailable`.
        """
        work = work_for(request, self._default_model)
        if request.upload is not None:
            return self._upload(tenant, batch, request, work)
        given = request.documents or []
        require_some(given, "documents")
        self._batches.create(
            tenant,
            batch,
            kind=Kind.DOCUMENTS,
            work=work.model_dump_json(by_alias=True),
            items=len(given),
            alert_usd=request.alert_usd,
        )
        taken, rejected = self._sorted(tenant, batch, enumerate(given))
        return hand_in(self._batches, self._queue, tenant, batch, taken, rejected)

    def _upload(self, tenant: str, batch: str, request: DocumentsRequest, work: Work) -> BatchTaken:
        upload = str(request.upload)
        self._bucket.require_upload(tenant, upload)
        self._batches.create(
            tenant,
            batch,
            kind=Kind.DOCUMENTS,
            work=work.model_dump_json(by_alias=True),
            items=0,
            alert_usd=request.alert_usd,
            upload=upload,
        )
        self._start(tenant, batch, upload)
        return BatchTaken(id=batch, state="receiving", source="upload")

    def _start(self, tenant: str, batch: str, upload: str, run: str = "") -> None:
        given = {"tenant": tenant, "batch": batch, "upload": upload}
        executions = self._machine_arn.replace(":stateMachine:", ":execution:")
        # Noted first, because of an unrecorded run nobody could see whether it has ended.
        self._batches.note(tenant, batch, execution=f"{executions}:{batch}{run}")
        begun_already = self._machine.exceptions.ExecutionAlreadyExists
        with unavailable("the document machine could not be started"), suppress(begun_already):
            self._machine.start_execution(
                stateMachineArn=self._machine_arn, name=batch + run, input=json.dumps(given)
            )

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:
        """Redrive the dead letters, or read an upload again that was not read to its end."""
        tenant, batch = record.tenant, record.batch
        if record.upload is not None and not record.received:
            self._batches.note(tenant, batch, ended=0)
            self._start(tenant, batch, record.upload, f"-{uuid4().hex[:8]}")
        sent, complete = self._queue.redrive(tenant, batch, seconds=seconds)
        return Redriven(sent=sent, complete=complete)

    # ---- an upload, by the machine -----------------------------------------------------------

    def receive(self, tenant: str, batch: str, upload: str) -> dict[str, Any]:
        """Queue the documents of an upload, and reject invalid lines.

        Memory does not grow with the upload. Raises `Undeliverable` and `StoreUnavailable`.
        """
        self._batches.spread_counters(tenant, batch)
        count = rejections = 0
        try:
            for some in _groups(enumerate(self._bucket.lines(upload, most_bytes=LINE_BYTES))):
                if some[-1][0] >= UPLOADED_LIMIT:
                    raise Undeliverable(f"an upload holds at most {UPLOADED_LIMIT} documents")
                taken, rejected = self._sorted(tenant, batch, some)
                rejected |= refusals(self._queue.send(taken))
                reject(self._batches, tenant, batch, rejected)
                count += len(some)
                rejections += len(rejected)
        except NotFound as error:
            raise Undeliverable(error.message) from error
        self._batches.note(tenant, batch, items=count, received=True)
        return {"items": count, "rejected": rejections}

    def abandon(self, tenant: str, batch: str, reason: str) -> None:
        """Record that the upload could not be read to its end; the batch waits for a redrive."""
        self._batches.note(tenant, batch, ended=1, last_problem=reason)

    # ---- one by one --------------------------------------------------------------------------

    def _sorted(
        self, tenant: str, batch: str, given: Iterable[tuple[int, Any]]
    ) -> tuple[list[QueuedDocument], dict[int, Rejection]]:
        """The accepted documents, whose contents are now stored, and the rejections by index."""

        def take(numbered: tuple[int, Any]) -> tuple[int, QueuedDocument | Rejection]:
            index, one = numbered
            return index, self._taken(tenant, BatchPosition(batch=batch, index=index), one)

        taken: list[QueuedDocument] = []
        rejected: dict[int, Rejection] = {}
        with ThreadPoolExecutor(_WORKERS) as workers:
            for index, read in workers.map(take, given):
                if isinstance(read, Rejection):
                    rejected[index] = read
                else:
                    taken.append(read)
        return taken, rejected

    def _taken(
        self, tenant: str, position: BatchPosition, given: Any
    ) -> QueuedDocument | Rejection:
        document = read_document(given)
        if isinstance(document, Rejection):
            return document
        try:
            key = self._content_key(tenant, position, document)
        except NotFound as error:
            return Rejection(code=error.code, message=error.message, field=error.field)
        return QueuedDocument(
            tenant=tenant,
            position=position,
            key=key,
            is_text=document.text is not None,
            **document.model_dump(include={"id", "media_type", "name", "metadata"}),
        )

    def _content_key(self, tenant: str, position: BatchPosition, document: DocumentRequest) -> str:
        """The key of the document's content, which is stored now unless it was uploaded."""
        if document.upload is not None:
            self._bucket.require_upload(tenant, document.upload)
            return document.upload
        key = document_key(tenant, position)
        self._bucket.put(key, document.body() or b"")
        return key


def _groups(lines: Iterable[tuple[int, bytes]]) -> Iterator[list[tuple[int, bytes]]]:
    """Numbered lines in groups that are queued together."""
    group: list[tuple[int, bytes]] = []
    size = 0
    for index, line in lines:
        group.append((index, line))
        size += len(line)
        if len(group) == _TOGETHER or size >= _BYTES_TOGETHER:
            yield group
            group, size = [], 0
    if group:
        yield group


def work_for(request: DocumentsRequest, default_model: str) -> Work:
    """The work of a request, its model by its own name; raises `ModelUnknown`, `InvalidRequest`."""
    work = request.to_work(default_model)
    return work.model_copy(update={"model": registry.answering(work.model).name})
