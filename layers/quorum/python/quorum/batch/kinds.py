"""The interface that every kind of batch implements: start, view, redrive, stop."""

from typing import Protocol, TypeVar

from pydantic import Field

from quorum.batch.intake import BatchTaken
from quorum.batch.progress import BatchRecord, BatchView
from quorum.core.models import Frozen, is_none

_RequestT_contra = TypeVar("_RequestT_contra", contravariant=True)


class Redriven(Frozen):
    """The number of dead letters that were queued again, where they are counted.

    `complete` is false when there may be more, for another such request.
    """

    sent: int | None = Field(default=None, exclude_if=is_none)
    complete: bool


class BatchKind(Protocol[_RequestT_contra]):
    """The operations on batches of one kind; every method may be repeated."""

    def start(self, tenant: str, batch: str, request: _RequestT_contra) -> BatchTaken:
        """Store the batch and queue its items; returns the answer to the request.

        Raises `InvalidRequest`, `TooLarge`, `NotFound` and `StoreUnavailable`.
        """

    def view(self, record: BatchRecord) -> BatchView:
        """The batch's progress and cost."""

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:
        """Queue the dead letters again, for at most `seconds`."""

    def stop(self, record: BatchRecord) -> None:
        """Stop the running work of a cancelled batch."""
