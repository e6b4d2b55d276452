"""How batches come in: validated item by item, recorded, rejected or sent on."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

from quorum.batch.batches import Aside, Batches
from quorum.batch.bulk import Bulk
from quorum.batch.item_queue import ItemQueue
from quorum.errors import InvalidRequest, TooLarge
from quorum.models import Frozen
from quorum.requests import BatchRequest, QueuedItem, Rejection, read_item
from quorum.vote.case import Place
from quorum.vote.panel import Panel

ITEMS_LIMIT = 1_000
"""Items of one request; more come as an upload."""


class Intake:
    """Takes batches in, by the queue or in bulk; `panel_of` a tenant and a name."""

    def __init__(
        self,
        batches: Batches,
        queue: ItemQueue,
        bulk: Bulk,
        *,
        default_panel: str,
        panel_of: Callable[[str, str], Panel],
    ) -> None:
        self._batches = batches
        self._queue = queue
        self._bulk = bulk
        self._default_panel = default_panel
        self._panel_of = panel_of

    def take(self, tenant: str, request: BatchRequest, batch: str | None = None) -> dict[str, Any]:
        """The answer to `POST /batches`; `batch` is given where the request may come again.

        Every step may be repeated: what a first try did already stays as it is. Raises
        `PanelInvalid`, `InvalidRequest`, `TooLarge`, `NotFound` and `StoreUnavailable`.
        """
        seated = self._panel_of(tenant, request.panel or self._default_panel).name
        batch = batch or uuid4().hex
        if request.upload is not None:
            return self._in_bulk(tenant, batch, request, seated)
        return self._by_queue(tenant, batch, request, seated)

    def _in_bulk(
        self, tenant: str, batch: str, request: BatchRequest, seated: str
    ) -> dict[str, Any]:
        upload = str(request.upload)
        self._bulk.require_upload(tenant, upload)
        self._batches.create(
            tenant,
            batch,
            source="upload",
            panel=seated,
            items=0,
            alert_usd=request.alert_usd,
            upload=upload,
        )
        self._bulk.start(tenant, batch, upload, seated)
        return {"id": batch, "state": "receiving", "source": "upload", "rejected": []}

    def _by_queue(
        self, tenant: str, batch: str, request: BatchRequest, seated: str
    ) -> dict[str, Any]:
        given = request.items or []
        require_some(given, "items")
        taken: list[QueuedItem] = []
        rejected: dict[int, Rejection] = {}
        for index, item in enumerate(given):
            read = read_item(item, seated, partial(self._panel_of, tenant))
            if isinstance(read, Rejection):
                rejected[index] = read
            else:
                place = Place(batch=batch, index=index)
                taken.append(QueuedItem(**dict(read), tenant=tenant, place=place))
        self._batches.create(
            tenant,
            batch,
            source="items",
            panel=seated,
            items=len(given),
            alert_usd=request.alert_usd,
        )
        return hand_in(self._batches, self._queue, tenant, batch, taken, rejected)


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
    asides = [Aside(Place(batch=batch, index=index), why) for index, why in told.items()]
    batches.set_aside(tenant, "rejected", asides)
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
