"""Batches of contents: two kinds of batch (`quorum.batch.kinds`), by the queue and in bulk."""

from collections.abc import Callable
from functools import partial

from quorum.batch.intake import BatchTaken, hand_in, require_some
from quorum.batch.kinds import Redriven
from quorum.batch.progress import BatchRecord, BatchView, Kind
from quorum.batch.queue import ItemQueue
from quorum.batch.records import Batches
from quorum.batch.runs import Runs
from quorum.bulk.machine import Bulk
from quorum.bulk.requests import BatchRequest, Chosen, QueuedItem, read_item
from quorum.core import registry
from quorum.core.position import BatchPosition
from quorum.core.registry import Model
from quorum.core.rejection import Rejection
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy, reference_of

PanelOf = Callable[[str, str], Panel]
"""The panel of a tenant and a name; raises `PanelInvalid`."""
PolicyOf = Callable[[str, str | None], Policy]
"""The policy of a tenant and a name, or the one in force; raises `PolicyInvalid`."""

ModelOf = Callable[[str], Model]
"""The model of a name; raises `ModelUnknown`."""


class QueuedBatches:
    """Contents of a request: validated one by one, one message each on the queue."""

    def __init__(
        self,
        batches: Batches,
        queue: ItemQueue,
        *,
        default_panel: str,
        panel_of: PanelOf,
        policy_of: PolicyOf,
        model_of: ModelOf = registry.model,
    ) -> None:
        self._batches = batches
        self._model_of = model_of
        self._queue = queue
        self._default_panel = default_panel
        self._panel_of = panel_of
        self._policy_of = policy_of

    def start(self, tenant: str, batch: str, request: BatchRequest) -> BatchTaken:
        """Store the batch, reject bad items, queue the others.

        Every step may be repeated: results of an earlier try stay as they are. Raises
        `PanelInvalid`, `PolicyInvalid`, `InvalidRequest`, `TooLarge` and `StoreUnavailable`.
        """
        panel_name = self._panel_of(tenant, request.panel or self._default_panel).name
        policy = reference_of(self._policy_of(tenant, request.policy))
        chosen = Chosen(
            panel_name,
            policy,
            partial(self._panel_of, tenant),
            partial(self._policy_of, tenant),
            self._model_of,
        )
        given = request.items or []
        require_some(given, "items")
        taken: list[QueuedItem] = []
        rejected: dict[int, Rejection] = {}
        for index, item in enumerate(given):
            read = read_item(item, chosen)
            if isinstance(read, Rejection):
                rejected[index] = read
            else:
                position = BatchPosition(batch=batch, index=index)
                taken.append(QueuedItem(**dict(read), tenant=tenant, position=position))
        self._batches.create(
            tenant,
            batch,
            kind=Kind.ITEMS,
            panel=panel_name,
            policy=policy,
            items=len(given),
            alert_usd=request.alert_usd,
        )
        return hand_in(self._batches, self._queue, tenant, batch, taken, rejected)

    def view(self, record: BatchRecord) -> BatchView:
        """The batch's progress and cost."""
        return self._batches.view(record)

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:
        """Queue the dead letters again, for at most `seconds`."""
        sent, complete = self._queue.redrive(record.tenant, record.batch, seconds=seconds)
        return Redriven(sent=sent, complete=complete)

    def stop(self, record: BatchRecord) -> None:
        """Do nothing: each worker checks whether its batch is cancelled."""


class UploadedBatches:
    """Contents of an upload: judged page by page in runs of the bulk machine."""

    def __init__(
        self,
        batches: Batches,
        bulk: Bulk,
        runs: Runs,
        *,
        default_panel: str,
        panel_of: PanelOf,
        policy_of: PolicyOf,
    ) -> None:
        self._batches = batches
        self._bulk = bulk
        self._runs = runs
        self._default_panel = default_panel
        self._panel_of = panel_of
        self._policy_of = policy_of

    def start(self, tenant: str, batch: str, request: BatchRequest) -> BatchTaken:
        """Store the batch and begin its run; both may be repeated.

        Raises `PanelInvalid`, `PolicyInvalid`, `NotFound` and `StoreUnavailable`.
        """
        panel_name = self._panel_of(tenant, request.panel or self._default_panel).name
        policy = reference_of(self._policy_of(tenant, request.policy))
        upload = str(request.upload)
        self._bulk.require_upload(tenant, upload)
        self._batches.create(
            tenant,
            batch,
            kind=Kind.UPLOAD,
            panel=panel_name,
            policy=policy,
            items=0,
            alert_usd=request.alert_usd,
            upload=upload,
        )
        self._bulk.start(tenant, batch, upload, panel_name)
        return BatchTaken(id=batch, state="receiving", source="upload")

    def view(self, record: BatchRecord) -> BatchView:
        """The batch's progress and cost."""
        return self._batches.view(self._runs.looked_at(record))

    def redrive(self, record: BatchRecord, *, seconds: float) -> Redriven:  # noqa: ARG002 the interface's
        """Begin another run over the pages without results; their items are not counted."""
        self._bulk.redrive(record)
        return Redriven(complete=True)

    def stop(self, record: BatchRecord) -> None:
        """Stop the run."""
        self._bulk.stop(record)
