"""Estimates for a tenant, from its documents and its own statistics of the operation."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from quorum.aws.bucket import Bucket
from quorum.batch.intake import ITEMS_LIMIT, RejectedItem, require_some
from quorum.core.errors import DocumentUnreadable, NotFound, TooLarge
from quorum.core.rejection import Rejection
from quorum.document import estimating, parsing
from quorum.document.documents import DOCUMENT_BYTES
from quorum.document.estimating import Document, Estimate, Terms
from quorum.document.intake import work_for
from quorum.document.learning import Learned
from quorum.document.requests import LINE_BYTES, DocumentRequest, EstimateRequest, read_document

if TYPE_CHECKING:
    from quorum.gateway.deadline import Deadline
    from quorum.gateway.limiter import Limiter

_WORKERS = 2
"""Files read at once: each takes a process with its own memory."""
_LIMITS = parsing.Limits(bytes=DOCUMENT_BYTES)
_COUNTING_SECONDS = 3.0
"""Seconds left for counting when reading has to stop."""


class TakenEstimate(Estimate):
    """The estimate of a request's documents; those that cannot be read are `rejected`."""

    rejected: tuple[RejectedItem, ...]


class Estimates:
    """Makes estimates, also in won at a given rate and its date."""

    def __init__(
        self,
        bucket: Bucket,
        learned: Learned,
        limiter: "Limiter",
        *,
        default_model: str,
        krw_per_usd: Decimal,
        krw_as_of: date,
    ) -> None:
        self._bucket = bucket
        self._learned = learned
        self._limiter = limiter
        self._default_model = default_model
        self._krw_per_usd = krw_per_usd
        self._krw_as_of = krw_as_of

    def take(self, tenant: str, request: EstimateRequest, deadline: "Deadline") -> TakenEstimate:
        """The answer to `POST /documents/estimate`; documents that cannot be read are named.

        Raises `ModelUnknown`, `InvalidRequest`, `NotFound`, `StoreUnavailable`, and `TooLarge` if
        not all documents can be read before the deadline.
        """
        work = work_for(request, self._default_model)
        documents: list[Document] = []
        rejected: list[RejectedItem] = []
        read = partial(self._read, tenant, deadline)
        with ThreadPoolExecutor(_WORKERS) as workers:
            for index, found in enumerate(workers.map(read, self._given(tenant, request))):
                if isinstance(found, Rejection):
                    rejected.append(RejectedItem(index=index, **dict(found)))
                    continue
                document, parsed = found
                name = document.id or document.name
                documents.append(Document(parsed.text, index, name, parsed.pages))
        terms = Terms(
            share_of=partial(self._learned.share, tenant, work.operation),
            limits=self._limiter.limits,
            default_limit=self._limiter.default,
            krw_per_usd=self._krw_per_usd,
            krw_as_of=self._krw_as_of,
        )
        estimate = estimating.estimate(work, documents, terms, compare=request.compare)
        return TakenEstimate(**dict(estimate), rejected=tuple(rejected))

    def _given(self, tenant: str, request: EstimateRequest) -> Iterator[Any]:
        if request.upload is None:
            given = request.documents or []
            require_some(given, "documents")
            yield from given
            return
        self._bucket.require_upload(tenant, request.upload)
        for number, line in enumerate(self._bucket.lines(request.upload, most_bytes=LINE_BYTES), 1):
            if number > ITEMS_LIMIT:
                raise TooLarge(
                    f"documents: an estimate takes at most {ITEMS_LIMIT} documents",
                    code="too_many_items",
                    field="upload",
                    limit=ITEMS_LIMIT,
                )
            yield line

    def _read(
        self, tenant: str, deadline: "Deadline", given: Any
    ) -> tuple[DocumentRequest, parsing.Parsed] | Rejection:
        document = read_document(given)
        if isinstance(document, Rejection):
            return document
        if document.text is not None:
            return document, parsing.Parsed(text=document.text, media_type="text/plain")
        seconds = deadline.remaining() - _COUNTING_SECONDS
        if seconds <= 0:
            raise TooLarge(
                "documents: reading these files takes too long for one request; send fewer of them",
                code="too_much_to_read",
                field="documents",
            )
        try:
            limits = _LIMITS.model_copy(update={"seconds": min(_LIMITS.seconds, seconds)})
            body = self._body(tenant, document)
            return document, parsing.text_of(body, document.media_type, document.name, limits)
        except (DocumentUnreadable, NotFound, TooLarge) as error:
            return Rejection(code=error.code, message=error.message, limit=error.limit)

    def _body(self, tenant: str, document: DocumentRequest) -> bytes:
        if document.upload is None:
            return document.body() or b""
        self._bucket.require_upload(tenant, document.upload)
        return self._bucket.get(document.upload, most_bytes=DOCUMENT_BYTES)
