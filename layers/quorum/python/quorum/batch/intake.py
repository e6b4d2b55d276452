"""The steps every kind of batch shares when it is handed in: count, reject, send on."""

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


def reject(
    batches: Batches, tenant: str, batch: str, rejected: Mapping[int, Rejection]
) -> list[dict[str, Any]]:
    """Set aside what is rejected, by index, and say so to the caller."""
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
    """Reject what is rejected, put the rest on the queue, and say so: the answer to the POST."""
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
