"""Intake of batches of contents: each item is validated, then rejected or queued."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from quorum.batch.intake import hand_in, require_some
from quorum.batch.queue import ItemQueue
from quorum.batch.records import Batches
from quorum.bulk.machine import Bulk
from quorum.bulk.requests import BatchRequest, QueuedItem, read_item
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection
from quorum.vote.panel import Panel


class Intake:
    """Takes in batches, by the queue or in bulk. `panel_of(tenant, name)` finds a panel."""

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
        """Take in a batch; returns the answer to `POST /batches`.

        `batch` is the id of a request that may come again. Every step may be repeated. Raises
        `PanelInvalid`, `InvalidRequest`, `TooLarge`, `NotFound` and `StoreUnavailable`.
        """
        panel_name = self._panel_of(tenant, request.panel or self._default_panel).name
        batch = batch or uuid4().hex
        if request.upload is not None:
            return self._in_bulk(tenant, batch, request, panel_name)
        return self._by_queue(tenant, batch, request, panel_name)

    def _in_bulk(
        self, tenant: str, batch: str, request: BatchRequest, panel_name: str
    ) -> dict[str, Any]:
        upload = str(request.upload)
        self._bulk.require_upload(tenant, upload)
        self._batches.create(
            tenant,
            batch,
            source="upload",
            panel=panel_name,
            items=0,
            alert_usd=request.alert_usd,
            upload=upload,
        )
        self._bulk.start(tenant, batch, upload, panel_name)
        return {"id": batch, "state": "receiving", "source": "upload", "rejected": []}

    def _by_queue(
        self, tenant: str, batch: str, request: BatchRequest, panel_name: str
    ) -> dict[str, Any]:
        given = request.items or []
        require_some(given, "items")
        taken: list[QueuedItem] = []
        rejected: dict[int, Rejection] = {}
        for index, item in enumerate(given):
            read = read_item(item, panel_name, partial(self._panel_of, tenant))
            if isinstance(read, Rejection):
                rejected[index] = read
            else:
                position = BatchPosition(batch=batch, index=index)
                taken.append(QueuedItem(**dict(read), tenant=tenant, position=position))
        self._batches.create(
            tenant,
            batch,
            source="items",
            panel=panel_name,
            items=len(given),
            alert_usd=request.alert_usd,
        )
        return hand_in(self._batches, self._queue, tenant, batch, taken, rejected)
