"""Routes about batches: of contents and of documents."""

from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.idempotency import IdempotencyKey
from quorum.api.problems import gives
from quorum.batch.intake import BatchTaken
from quorum.batch.kinds import Redriven
from quorum.batch.progress import Kind
from quorum.batch.records import LIST_LIMIT, PAGE_LIMIT, DeadLetter
from quorum.bulk.machine import NewUpload
from quorum.bulk.requests import BatchRequest
from quorum.core.errors import BudgetSpent, Conflict, NotFound, TooLarge
from quorum.core.identifiers import batch_id_of
from quorum.core.models import Frozen, Verdict, is_none
from quorum.core.position import INDEX_DIGITS
from quorum.core.rejection import Rejection
from quorum.document.answering import DocumentOutcome
from quorum.document.batches import DocumentBatchView
from quorum.document.requests import DocumentsRequest
from quorum.routes.parameters import App, once

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer
    from quorum.batch.progress import BatchRecord

router = new_router()

REDRIVE_SECONDS = 15.0
"""Seconds for which one request searches the dead letters."""


class RejectedResult(Rejection):
    """The reason for rejecting an item, with its id if known."""

    id: str | None = Field(default=None, exclude_if=is_none)


class SettledDocument(DocumentOutcome):
    """The outcome of a document; an answer too long for the page is at `answer_url`."""

    answer_url: str | None


class Result(Frozen):
    """An item of a batch: its index, and its verdict, its document, or the reason for neither."""

    index: int
    verdict: Verdict | None = Field(default=None, exclude_if=is_none)
    document: SettledDocument | None = Field(default=None, exclude_if=is_none)
    rejected: RejectedResult | None = Field(default=None, exclude_if=is_none)
    dead: DeadLetter | None = Field(default=None, exclude_if=is_none)


class BatchList(Frozen):
    """A page of batches, newest first, and the cursor of the next page (None: it is the last)."""

    batches: tuple[DocumentBatchView, ...]
    next: str | None


class Results(Frozen):
    """A page of results in input order; `next` is the index to continue at, None after the last."""

    items: tuple[Result, ...]
    next: int | None


def begin(
    app: "ApiContainer", tenant: str, kind: Kind, request: Frozen, key: str | None
) -> BatchTaken:
    """Start a batch; its id is derived from `key` and the request, if there is a key."""
    batch = uuid4().hex
    if key is not None:
        # The other route's ids are others. So are those of another request: a batch is kept for
        # longer than a key, and a key that is used anew must not lead to the batch of before.
        route = "documents" if kind is Kind.DOCUMENTS else "batches"
        batch = batch_id_of(tenant, route, key, repr(request.model_dump()))
    app.budget.check(tenant)
    return app.batch_kinds[kind].start(tenant, batch, request)


@router.post(
    "/batches",
    summary="Submit a batch of contents",
    middlewares=[once],
    **gives(BatchTaken, BudgetSpent, NotFound, Conflict, TooLarge, status=HTTPStatus.ACCEPTED),
)
def post_batch(
    request: BatchRequest, app: App, caller: Calling, idempotency_key: IdempotencyKey = None
) -> BatchTaken:
    """Answers 202 with the batch's id, and the rejected items with their reasons."""
    chosen = request.model_copy(update={"panel": request.panel or caller.panel})
    return begin(app, caller.tenant, request.kind, chosen, idempotency_key)


@router.post(
    "/documents",
    summary="Submit a batch of documents",
    middlewares=[once],
    **gives(BatchTaken, BudgetSpent, NotFound, Conflict, TooLarge, status=HTTPStatus.ACCEPTED),
)
def post_documents(
    request: DocumentsRequest, app: App, caller: Calling, idempotency_key: IdempotencyKey = None
) -> BatchTaken:
    """Answers 202 with the batch's id, and the rejected documents with their reasons."""
    return begin(app, caller.tenant, Kind.DOCUMENTS, request, idempotency_key)


@router.post(
    "/batches/uploads",
    summary="Get a URL to upload a large batch to",
    **gives(NewUpload, TooLarge, status=HTTPStatus.CREATED),
)
def post_upload(
    app: App,
    caller: Calling,
    size: Annotated[int | None, Query(ge=1, alias="bytes")] = None,
) -> NewUpload:
    """Answers with a presigned URL to send JSONL to, and the key to name in `POST /batches`.

    With `bytes`, the file's size, it is for a PUT of so many bytes; without, for a form.
    """
    return app.bulk.new_upload(caller.tenant, size)


@router.get("/batches", summary="List the tenant's batches", **gives(BatchList))
def get_batches(
    app: App,
    caller: Calling,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = LIST_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=512)] = None,
) -> BatchList:
    """The batches of contents and of documents that are kept, newest first, with their progress."""
    records, following = app.batches.page(caller.tenant, limit=limit, after=after)
    return BatchList(batches=tuple(shown(app, record) for record in records), next=following)


@router.get(
    "/batches/<batch_id>",
    summary="Read a batch's progress",
    **gives(DocumentBatchView, NotFound),
)
def get_batch(batch_id: str, app: App, caller: Calling) -> DocumentBatchView:
    """Counts by state and decision, the cost so far, and an estimate of the rest."""
    return shown(app, app.batches.record(caller.tenant, batch_id))


@router.get(
    "/batches/<batch_id>/results",
    summary="Read a batch's results in input order",
    **gives(Results, NotFound),
)
def get_results(
    batch_id: str,
    app: App,
    caller: Calling,
    start: Annotated[int, Query(ge=0, lt=10**INDEX_DIGITS)] = 0,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = 100,
    gaps: Annotated[bool, Query()] = False,  # noqa: FBT002 a query
) -> Results:
    """A page from index `start` to the first unsettled item; with `gaps`, beyond it too."""
    page = app.batches.results(caller.tenant, batch_id, start=start, limit=limit, gaps=gaps)
    for document in (item["document"] for item in page["items"] if "document" in item):
        key = document.pop("answer_key")
        document["answer_url"] = None if key is None else app.bucket.link(key)
    return Results.model_validate(page)


@router.delete(
    "/batches/<batch_id>", summary="Cancel a batch", **gives(DocumentBatchView, NotFound)
)
def delete_batch(batch_id: str, app: App, caller: Calling) -> DocumentBatchView:
    """Items that have not begun are not judged; the others are still settled."""
    record = app.batches.cancel(caller.tenant, batch_id)
    app.batch_kinds[record.kind].stop(record)
    return shown(app, record)


@router.post(
    "/batches/<batch_id>/redrive",
    summary="Redrive a batch's dead letters",
    **gives(Redriven, NotFound, status=HTTPStatus.ACCEPTED),
)
def post_redrive(batch_id: str, app: App, caller: Calling) -> Redriven:
    """The number of redriven items; if `complete` is false, repeat the request for the rest."""
    record = app.batches.record(caller.tenant, batch_id)
    return app.batch_kinds[record.kind].redrive(record, seconds=REDRIVE_SECONDS)


def shown(app: "ApiContainer", record: "BatchRecord") -> DocumentBatchView:
    """The batch in the one form that has the fields of every kind of batch."""
    view: Any = app.batch_kinds[record.kind].view(record)
    return DocumentBatchView(**dict(view))
