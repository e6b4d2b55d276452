"""The steps of taking in a batch that all kinds share: count, reject, queue."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from quorum.batch.progress import Source
from quorum.batch.queue import ItemQueue, Refused, Sendable
from quorum.batch.records import Batches, FailedItem
from quorum.core.errors import InvalidRequest, TooLarge
from quorum.core.models import Frozen, is_none
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection

ITEMS_LIMIT = 1_000
"""Items of one request; more come as an upload."""


def require_some(given: Sequence[Any], field: str) -> None:
    """Raise `InvalidRequest` for an empty request, `TooLarge` for one with too many items."""
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
    """A rejected item: its index in the request, and the reason."""

    index: int


class BatchTaken(Frozen):
    """A batch that was accepted; the number of `items` of an upload is known later."""

    id: str
    state: Literal["receiving", "running"]
    source: Source
    items: int | None = Field(default=None, exclude_if=is_none)
    rejected: tuple[RejectedItem, ...] = ()


def reject(
    batches: Batches, tenant: str, batch: str, rejected: Mapping[int, Rejection]
) -> tuple[RejectedItem, ...]:
    """Store the rejections, by index; returns them in the form of the answer."""
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
    taken: Sequence[Sendable],
    rejected: Mapping[int, Rejection],
) -> BatchTaken:
    """Store the rejections and queue the other items; returns the answer to the POST.

    An item that the queue will never take is rejected too.
    """
    told = reject(batches, tenant, batch, rejected)
    told += reject(batches, tenant, batch, refusals(queue.send(taken)))
    batches.note(tenant, batch, received=True)
    items = len(taken) + len(rejected)
    return BatchTaken(
        id=batch,
        state="running",
        source="items",
        items=items,
        rejected=tuple(sorted(told, key=lambda one: one.index)),
    )


def refusals(refused: Sequence[Refused]) -> dict[int, Rejection]:
    """The rejections of items that the queue will never take, by index."""
    return {
        one.item.position.index: Rejection(
            code="invalid_item", message=f"the queue refuses the item ({one.code})"
        )
        for one in refused
        if one.item.position is not None
    }
