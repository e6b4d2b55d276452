"""The bodies of requests and messages about batches of contents. Pure."""

from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

from pydantic import StringConstraints, ValidationError, model_validator

from quorum.batch.progress import Kind
from quorum.core import registry
from quorum.core.errors import PanelInvalid, PolicyInvalid
from quorum.core.fields import AlertDollars
from quorum.core.json_names import NameRepeated, require_unrepeated
from quorum.core.models import Frozen, Identifier
from quorum.core.position import BatchPosition
from quorum.core.registry import Model
from quorum.core.rejection import Rejection, name_repeated, rejection
from quorum.core.unicode import whole_json
from quorum.vote.panel import Panel
from quorum.vote.policy import Policy, reference_of
from quorum.vote.policy_reading import require_covers
from quorum.vote.requests import PolicyName, VerdictRequest


class QueuedItem(VerdictRequest):
    """The body of a message on the queue: a verdict request with its tenant and its position.

    IAM decides which principals may send messages, so the tenant they name is trusted.
    """

    tenant: Identifier
    position: BatchPosition | None = None


class BatchRequest(Frozen):
    """The body of `POST /batches`: items, or the key of an upload that holds them.

    Items are validated one by one later, so a bad one does not affect the others. `panel` judges
    items that name none, under `policy`: the version that is in force now, to the batch's end. When
    the batch has cost `alert_usd`, an alert is published.
    """

    items: list[Any] | None = None
    upload: Annotated[str, StringConstraints(min_length=1, max_length=256)] | None = None
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    policy: PolicyName | None = None
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


class Chosen(NamedTuple):
    """What judges the items of a tenant's batch that name nothing else, and how others are found.

    `panel_called` raises `PanelInvalid`, `policy_called` `PolicyInvalid`, `model_called`
    `ModelUnknown`. `policy` is the reference
    that the batch keeps.
    """

    panel: str
    policy: str
    panel_called: Callable[[str], Panel]
    policy_called: Callable[[str | None], Policy]
    model_called: Callable[[str], Model] = registry.model


def read_item(given: Any, chosen: Chosen) -> VerdictRequest | Rejection:
    """An item of a batch with its panel and the version of its policy, or why it is rejected.

    Bytes are read as JSON. A policy that the item names itself stays in the version that is in
    force now.
    """
    try:
        if isinstance(given, bytes):
            line = whole_json(given)
            item = VerdictRequest.model_validate_json(line)
            require_unrepeated(line)
        else:
            item = VerdictRequest.model_validate(given)
    except ValidationError as error:
        return rejection(error)
    except NameRepeated as error:
        return name_repeated(error)
    panel_name, policy_name = item.panel or chosen.panel, item.policy or chosen.policy
    try:
        policy = chosen.policy_called(policy_name)
        require_covers(chosen.panel_called(panel_name), policy, chosen.model_called)
    except (PanelInvalid, PolicyInvalid) as invalid:
        return Rejection(code=invalid.code, message=str(invalid), field=invalid.field)
    return item.model_copy(update={"panel": panel_name, "policy": reference_of(policy)})
