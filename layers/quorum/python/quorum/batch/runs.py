"""Runs of state machines that end without recording it: their batches would stay `running`.

A run records its own end (`BatchRecord.ended`). One that was aborted, timed out, or failed with an
error that no state can catch (`States.DataLimitExceeded`) does not. EventBridge tells the machine's
function (`record_end`); where that event is lost, the next look at the batch finds out.
"""

from collections.abc import Callable
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Json

from quorum.aws.faults import unavailable
from quorum.batch.progress import BatchRecord, Kind
from quorum.batch.records import Batches
from quorum.core.errors import NotFound, StoreUnavailable
from quorum.core.position import BatchPosition

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

QUIET_SECONDS = 60.0
"""Seconds without progress after which a batch's run is looked at: most record their end."""
_ENDS = {
    "SUCCEEDED": "ended without a word",
    "FAILED": "failed",
    "TIMED_OUT": "timed out",
    "ABORTED": "was aborted",
}


class _Started(BaseModel):
    """What is read of an execution's input."""

    tenant: str
    batch: str | None = None
    position: BatchPosition | None = None
    """Of a long document, whose execution is about it alone."""


class EndedExecution(BaseModel):
    """The detail of the event that EventBridge sends when an execution has ended."""

    executionArn: str  # noqa: N815 - AWS's own names
    status: str
    input: Json[_Started]
    error: str | None = None

    @property
    def problem(self) -> str:
        """How it ended, in words."""
        error = f" ({self.error})" if self.error else ""
        return f"the run {_ENDS.get(self.status, self.status)}{error}"


def ended_execution(event: dict[str, Any]) -> EndedExecution | None:
    """The execution that an event says has ended; None for any other event."""
    return EndedExecution.model_validate(event["detail"]) if "detail-type" in event else None


def record_end(batches: Batches, ended: EndedExecution) -> None:
    """Record the end of a batch's run, unless it has done so itself or another run has begun.

    Raises `StoreUnavailable`: Lambda then delivers the event again.
    """
    try:
        record = batches.record(ended.input.tenant, str(ended.input.batch))
    except NotFound:
        return
    over = record.ended == record.run or record.is_cancelled
    if record.execution == ended.executionArn and not over:
        batches.note(record.tenant, record.batch, ended=record.run, last_problem=ended.problem)


class Runs:
    """The state machines' runs over uploads, as Step Functions knows them."""

    def __init__(
        self, machine: "SFNClient", batches: Batches, *, clock: Callable[[], float] = time
    ) -> None:
        self._machine = machine
        self._batches = batches
        self._clock = clock

    def looked_at(self, record: BatchRecord) -> BatchRecord:
        """`record`; where its run has ended without recording that, with its end and the reason."""
        if not self._is_quiet(record):
            return record
        try:
            problem = self._problem(record)
            if problem is None:
                return record
            now = self._batches.record(record.tenant, record.batch)
            if now.ended == now.run or now.execution != record.execution:
                return now
            self._batches.note(now.tenant, now.batch, ended=now.run, last_problem=problem)
        except StoreUnavailable:  # the next look may tell
            return record
        return now.model_copy(update={"ended": now.run, "last_problem": problem})

    def _is_quiet(self, record: BatchRecord) -> bool:
        """Whether the batch waits for a run, and nothing was heard of it for a while."""
        # Documents that were received are on a queue: their run is over, as it should be.
        waits = not record.received or (record.kind is Kind.UPLOAD and record.pending > 0)
        if record.execution is None or record.is_cancelled or record.ended == record.run:
            return False
        heard = datetime.fromisoformat(record.last_settled_at or record.created_at)
        return waits and self._clock() - heard.timestamp() > QUIET_SECONDS

    def _problem(self, record: BatchRecord) -> str | None:
        """How the run ended, in words; None while it runs. Raises `StoreUnavailable`."""
        with unavailable("the state of a run could not be read"):
            try:
                found = self._machine.describe_execution(executionArn=str(record.execution))
            except self._machine.exceptions.ExecutionDoesNotExist:
                # A later run may have been recorded a moment ago and be about to begin.
                return "the run was never begun" if record.run == 1 else None
        ended = _ENDS.get(found["status"])
        if ended is None:
            return None
        error = f" ({found['error']})" if found.get("error") else ""
        return f"the run {ended}{error}"
