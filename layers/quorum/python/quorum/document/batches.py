"""Batches of documents, which are one kind of batch (`quorum.batch.kinds`)."""

from quorum.batch.intake import BatchTaken
from quorum.batch.kinds import Redriven
from quorum.batch.progress import BatchRecord, BatchView, hit_rate
from quorum.batch.records import Batches
from quorum.batch.runs import Runs
from quorum.core.models import Frozen, Money
from quorum.document.intake import DocumentIntake
from quorum.document.operations import work_of
from quorum.document.requests import DocumentsRequest


class Amounts(Frozen):
    """Tokens and dollars of a batch's settled documents."""

    input_tokens: int
    output_tokens: int
    cost_usd: Money


class DocumentBatchView(BatchView):
    """A batch of any kind as its tenant sees it, with the fields that only documents have.

    A batch of documents has an `operation` and a `model` instead of a panel, and counts documents
    without a usable answer as `failed`. `estimate` is the sum of the estimates of its settled
    documents, `actual` the sum of their actual tokens and dollars.
    """

    operation: str | None = None
    model: str | None = None
    cached_answers: int = 0
    failed: int = 0
    estimate: Amounts | None = None
    actual: Amounts | None = None


class DocumentBatches:
    """The batches of documents: started by the intake, worked on from the queue."""

    def __init__(self, batches: Batches, intake: DocumentIntake, runs: Runs) -> None:
        self._batches = batches
        self._runs = runs
        self._intake = intake

    def start(self, tenant: str, batch: str, request: DocumentsRequest) -> BatchTaken:
        """As `DocumentIntake.start`."""
        return self._intake.start(tenant, batch, request)

    def view(self, record: BatchRecord) -> DocumentBatchView:
        """The batch's progress and cost."""
        record = self._runs.looked_at(record)
        work = work_of(record.work)
        return DocumentBatchView(
            **dict(self._batches.view(record))
            | {"decisions": {}, "hit_rate": hit_rate(record, "cached_answers")},
            operation=None if work is None else str(work.operation),
            model=None if work is None else work.model,
            cached_answers=record.count("cached_answers"),
            failed=record.count("failed"),
            estimate=_amounts(record, "estimated"),
            actual=_amounts(record, "actual"),
        )

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:
        """As `DocumentIntake.redrive`."""
        return self._intake.redrive(record, seconds=seconds)

    def stop(self, record: BatchRecord) -> None:
        """Do nothing: each worker checks whether its batch is cancelled."""


def _amounts(record: BatchRecord, counted: str) -> Amounts | None:
    """The sums under `estimated` or `actual`; None before a document is settled."""
    if not record.settled:
        return None
    amounts = {name: record.amounts.get(f"{counted}_{name}", 0) for name in Amounts.model_fields}
    return Amounts.model_validate(amounts)
