"""The steps of taking in a batch that all kinds share: count, reject, queue."""

from collections.abc import Mapping, Sequence
from typing import Any

from quorum.batch.queue import ItemQueue
from quorum.batch.records import Batches, FailedItem
from quorum.core.errors import InvalidRequest, TooLarge
from quorum.core.models import Frozen
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


def reject(
    batches: Batches, tenant: str, batch: str, rejected: Mapping[int, Rejection]
) -> list[dict[str, Any]]:
    """Store the rejections, by index; returns them in the form of the answer."""
    told = {index: why.model_dump(exclude_none=True) for index, why in rejected.items()}
    failed = [
        FailedItem(BatchPosition(batch=batch, index=index), why) for index, why in told.items()
    ]
    batches.mark_failed(tenant, "rejected", failed)
    return [{"index": index} | why for index, why in told.items()]


def hand_in(
    batches: Batches,
    queue: ItemQueue,
    tenant: str,
    batch: str,
    taken: Sequence[Frozen],
    rejected: Mapping[int, Rejection],
) -> dict[str, Any]:
    """Store the rejections and queue the other items; returns the answer to the POST."""
    told = reject(batches, tenant, batch, rejected)
    queue.send(taken)
    batches.note(tenant, batch, received=True)
    items = len(taken) + len(rejected)
    return {
        "id": batch,
        "state": "running",
        "source": "items",
        "items": items,
        "rejected": told,
    }
