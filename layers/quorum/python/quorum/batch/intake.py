"""The steps every kind of batch shares when it is handed in: count, reject, send on."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from quorum.batch.progress import Source
from quorum.batch.queue import ItemQueue
from quorum.batch.records import Batches, FailedItem
from quorum.core.errors import InvalidRequest, TooLarge
from quorum.core.models import Frozen, is_none
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection

ITEMS_LIMIT = 1_000
"""Items of one request; more come as an upload."""


def require_some(given: Sequence[Any], field: str) -> None:
    """Raises `InvalidRequest` or `TooLarge` for a request of none or too many."""
    if not given:
        raise InvalidRequest(f"there are no {field}", code=f"invalid_{field}", field=field)
    if len(given) > ITEMS_LIMIT:
        raise TooLarge(
            f"a request holds at most {ITEMS_LIMIT} {field}; upload more",
            code=f"too_many_{field}",
            field=field,
            limit=ITEMS_LIMIT,
        )


class RejectedItem(Rejection):
    """An item that was not taken, by its index in the request, and why."""

    index: int


class BatchTaken(Frozen):
    """A batch that was taken; how many `items` an upload has is known later."""

    id: str
    state: Literal["receiving", "running"]
    source: Source
    items: int | None = Field(default=None, exclude_if=is_none)
    rejected: tuple[RejectedItem, ...] = ()


def reject(
    batches: Batches, tenant: str, batch: str, rejected: Mapping[int, Rejection]
) -> tuple[RejectedItem, ...]:
    """Set aside what is rejected, by index, and say so to the caller."""
    failed = [
        FailedItem(BatchPosition(batch=batch, index=index), why.model_dump())
        for index, why in rejected.items()
    ]
    batches.mark_failed(tenant, "rejected", failed)
    return tuple(RejectedItem(index=index, **dict(why)) for index, why in rejected.items())


def hand_in(
    batches: Batches,
    queue: ItemQueue,
    tenant: str,
    batch: str,
    taken: Sequence[Frozen],
    rejected: Mapping[int, Rejection],
) -> BatchTaken:
    """Reject what is rejected, put the rest on the queue, and say so: the answer to the POST."""
    told = reject(batches, tenant, batch, rejected)
    queue.send(taken)
    batches.note(tenant, batch, received=True)
    items = len(taken) + len(rejected)
    return BatchTaken(id=batch, state="running", source="items", items=items, rejected=told)
