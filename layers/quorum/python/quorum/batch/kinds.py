"""The one interface of batches of every kind: begin, look at, send round again, stop."""

from typing import Protocol, TypeVar

from pydantic import Field

from quorum.batch.intake import BatchTaken
from quorum.batch.progress import BatchRecord, BatchView
from quorum.core.models import Frozen, is_none

_RequestT_contra = TypeVar("_RequestT_contra", contravariant=True)


class Redriven(Frozen):
    """How many dead letters were sent round again, where they are counted.

    `complete` is false when there may be more, for another such request.
    """

    sent: int | None = Field(default=None, exclude_if=is_none)
    complete: bool


class BatchKind(Protocol[_RequestT_contra]):
    """What can be done with batches of one kind; every method may be repeated."""

    def start(self, tenant: str, batch: str, request: _RequestT_contra) -> BatchTaken:
        """Record the batch of that id and send its items on; the answer to its request.

        Raises `InvalidRequest`, `TooLarge`, `NotFound` and `StoreUnavailable`.
        """

    def view(self, record: BatchRecord) -> BatchView:
        """How far the batch is and what it cost."""

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:
        """Send what was given up round again, for so many seconds at most."""

    def stop(self, record: BatchRecord) -> None:
        """Stop what still runs of a batch that is cancelled."""
