"""The bodies of requests and messages about batches of contents. Pure."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import StringConstraints, ValidationError, model_validator

from quorum.batch.progress import Kind
from quorum.core.errors import PanelInvalid
from quorum.core.fields import AlertDollars
from quorum.core.models import Frozen, Identifier
from quorum.core.position import BatchPosition
from quorum.core.rejection import Rejection, rejection
from quorum.core.unicode import whole_json
from quorum.vote.panel import Panel
from quorum.vote.requests import VerdictRequest


class QueuedItem(VerdictRequest):
    """The body of a message on the queue: a verdict request with its tenant and its position.

    IAM decides which principals may send messages, so the tenant they name is trusted.
    """

    tenant: Identifier
    position: BatchPosition | None = None


class BatchRequest(Frozen):
    """The body of `POST /batches`: items, or the key of an upload that holds them.

    Items are validated one by one later, so a bad one does not affect the others. `panel` judges
    items that name none. When the batch has cost `alert_usd`, an alert is published.
    """

    items: list[Any] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    alert_usd: AlertDollars | None = None

    @property
    def kind(self) -> Kind:
        """Which kind of batch it is the request of."""
        return Kind.ITEMS if self.upload is None else Kind.UPLOAD

    @model_validator(mode="after")
    def _either(self) -> "BatchRequest":
        if (self.items is None) == (self.upload is None):
            raise ValueError("give either items or upload")
        return self


def read_item(
    given: Any, panel_name: str, panel_called: Callable[[str], Panel]
) -> VerdictRequest | Rejection:
    """An item of a batch with its panel, or the reason for rejecting it; bytes are read as JSON.

    `panel_name` is the batch's panel; `panel_called` must know a panel that the item names itself.
    """
    try:
        item = (
            VerdictRequest.model_validate_json(whole_json(given))
            if isinstance(given, bytes)
            else VerdictRequest.model_validate(given)
        )
    except ValidationError as error:
        return rejection(error)
    if item.panel is None:
        return item.model_copy(update={"panel": panel_name})
    try:
        panel_called(item.panel)
    except PanelInvalid as invalid:
        return Rejection(code="invalid_panel", message=str(invalid), field="panel")
    return item
