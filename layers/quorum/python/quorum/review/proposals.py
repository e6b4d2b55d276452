"""Proposals: recalibrated panels that wait for a person, with what they would change.

A proposal is made from a tenant's labels, of the panel in force at that moment. It is put as a
shadow and then in force by people (`quorum.review.promotion`), never by the service. Whatever is
done with it is an entry of the audit trail, in the same transaction.

A table by tenant and id::

    id          the time in milliseconds and eight random digits, so that later ids sort last
    state       proposed → shadow → promoted, or withdrawn before
    proposal    the proposal, as JSON
"""

import math
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from time import time
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import Field, PlainSerializer, StringConstraints

from quorum.audit.chain import Action, Change, Fact
from quorum.audit.trail import AuditTrail
from quorum.aws import dynamo
from quorum.core.errors import Conflict, InvalidRequest, NotFound
from quorum.core.models import Frozen, Identifier, is_none
from quorum.review import recalibration
from quorum.review.label_summary import summary
from quorum.review.recalibration import NotCalibrated, Recalibration, TooFewLabels
from quorum.vote.panel import Panel
from quorum.vote.reviews import Label, LabelPage

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

LABELS_READ = 5_000
"""Labels of a tenant that are used: the latest ones."""
LABELS_AT_ONCE = 100
"""Labels of one query."""
NEW_LABELS = 200
"""Effective number of labels since a panel's last proposal from which another one is made."""
PAGE_LIMIT = 20
"""Proposals of a page."""

PanelName = Annotated[str, StringConstraints(pattern=r"^[\w.-]{1,64}$")]
PolicyName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$")]
PanelDocument = Annotated[
    Panel, PlainSerializer(lambda panel: panel.document(), return_type=dict[str, Any])
]
"""A panel, written without its defaults: as `quorum panel put` reads it."""


class ProposalState(StrEnum):
    """The state of a proposal: it waits, is a shadow, is in force, or was withdrawn."""

    PROPOSED = "proposed"
    SHADOW = "shadow"
    PROMOTED = "promoted"
    WITHDRAWN = "withdrawn"


class ProposalRequest(Frozen):
    """The body of `POST /proposals`: the panel, by default the key's, and the policy of the labels.

    `person` is who asks.
    """

    panel: PanelName | None = None
    policy: PolicyName = "default"
    person: Identifier | None = None


class PersonRequest(Frozen):
    """The body of requests that a person answers for."""

    person: Identifier


class Step(Frozen):
    """What was done with a proposal: to which state, when, by which key and which person."""

    state: ProposalState
    at: datetime
    by: str
    person: str | None = Field(default=None, exclude_if=is_none)


class Proposal(Recalibration):
    """A recalibrated panel, the version that it was made from, and its state.

    `why` says what called for it. `version` is that of `panel`, which has no effect before a person
    puts it in force. `steps` has what was done, oldest first.
    """

    panel: PanelDocument
    id: str
    name: str
    version: str
    from_version: str
    policy: str
    why: tuple[str, ...] = ()
    state: ProposalState
    steps: tuple[Step, ...]

    @property
    def made_at(self) -> datetime:
        """When it was proposed."""
        return self.steps[0].at


class ProposalPage(Frozen):
    """Proposals, the newest first, and the cursor of the next page (None: it is the last)."""

    proposals: tuple[Proposal, ...]
    next: str | None


class Proposals:
    """The table of proposals."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        audit: AuditTrail,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._audit = audit
        self._clock = clock

    def add(self, tenant: str, made: "Made", *, by: str, person: str | None = None) -> Proposal:
        """Store what was made, as a proposal."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        fields = {name: getattr(made.found, name) for name in Recalibration.model_fields}
        proposal = Proposal(
            **fields,
            id=f"{int(now.timestamp() * 1000):012x}{secrets.token_hex(4)}",
            name=made.found.panel.name,
            version=made.found.panel.version,
            from_version=made.of.version,
            policy=made.policy,
            why=made.why,
            state=ProposalState.PROPOSED,
            steps=(Step(state=ProposalState.PROPOSED, at=now, by=by, person=person),),
        )
        self._write(tenant, proposal, None, Action.PROPOSAL_MADE)
        return proposal

    def move(
        self, tenant: str, proposal: Proposal, to: ProposalState, *, by: str, person: str
    ) -> Proposal:
        """The proposal in another state; raises `Conflict` if somebody else was first."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        step = Step(state=to, at=now, by=by, person=person)
        moved = proposal.model_copy(update={"state": to, "steps": (*proposal.steps, step)})
        self._write(tenant, moved, proposal.state, _ACTIONS[to])
        return moved

    def read(self, tenant: str, proposal_id: str) -> Proposal:
        """The proposal; raises `NotFound` and `StoreUnavailable`."""
        key = {"tenant": tenant, "id": proposal_id}
        item = dynamo.get(self._client, self._table, key, consistent=True)
        if item is None:
            raise NotFound("no such proposal", code="proposal_not_found", field="proposal_id")
        return _proposal(item)

    def page(
        self, tenant: str, *, limit: int = PAGE_LIMIT, after: str | None = None
    ) -> ProposalPage:
        """Up to `limit` proposals, the newest first, after the one with the id `after`."""
        start = {} if after is None else {"ExclusiveStartKey": {"tenant": tenant, "id": after}}
        found = dynamo.query(
            self._client,
            TableName=self._table,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": tenant},
            ScanIndexForward=False,
            ConsistentRead=True,
            Limit=limit,
            **start,
        )
        last = found.get("LastEvaluatedKey")
        return ProposalPage(
            proposals=tuple(map(_proposal, found["Items"])),
            next=None if last is None else str(last["id"]),
        )

    def last_of(self, tenant: str, panel: str, policy: str) -> Proposal | None:
        """The latest proposal of a panel under a policy, among the latest ones."""
        found = self.page(tenant).proposals
        return next((one for one in found if (one.name, one.policy) == (panel, policy)), None)

    def _write(
        self, tenant: str, proposal: Proposal, before: ProposalState | None, action: Action
    ) -> None:
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if before is not None:
            condition = {
                "ConditionExpression": "#state = :before",
                "ExpressionAttributeNames": {"#state": "state"},
                "ExpressionAttributeValues": {":before": before},
            }
        item = {
            "tenant": tenant,
            "id": proposal.id,
            "state": proposal.state,
            "proposal": proposal.model_dump_json(),
        }
        put = {"Put": {"TableName": self._table, "Item": item} | condition}
        if self._audit.write(tenant, _change(proposal, before, action), [put]):
            raise Conflict(
                "somebody else changed this proposal at the same moment; read it again",
                code="proposal_changed",
            )


_ACTIONS = {
    ProposalState.SHADOW: Action.PANEL_SHADOW_PUT,
    ProposalState.PROMOTED: Action.PANEL_PUT,
    ProposalState.WITHDRAWN: Action.PROPOSAL_WITHDRAWN,
}


def _change(proposal: Proposal, before: ProposalState | None, action: Action) -> Change:
    """The entry in the audit trail: which proposal, and from which version to which."""
    step = proposal.steps[-1]
    was: dict[str, Fact] = {"version": proposal.from_version}
    becomes: dict[str, Fact] = {
        "version": proposal.version,
        "proposal": proposal.id,
        "state": str(proposal.state),
    }
    if before is not None:
        was["state"] = str(before)
    return Change(
        action=action,
        by=step.by,
        person=step.person,
        subject=f"panel/{proposal.name}",
        before=was,
        after=becomes,
    )


def _proposal(item: dict[str, Any]) -> Proposal:
    return Proposal.model_validate_json(str(item["proposal"]), extra="ignore")


# ---- making proposals --------------------------------------------------------------------------


class Made(NamedTuple):
    """A recalibration on labels of a policy, the panel that it was made from, and its reasons."""

    found: Recalibration
    of: Panel
    policy: str
    why: tuple[str, ...] = ()


class Labels:
    """A tenant's latest labels, without their contents unless these are asked for."""

    def __init__(self, page: Callable[..., LabelPage]) -> None:
        """By what reads a page, as `quorum.vote.reviews.Reviews.labels`."""
        self._page = page

    def latest(self, tenant: str, most: int = LABELS_READ) -> tuple[Label, ...]:
        """The latest labels in the order in which their verdicts came, `most` at most.

        Raises `StoreUnavailable`.
        """
        return tuple(islice(self.newest_first(tenant), most))[::-1]

    def newest_first(self, tenant: str, *, with_contents: bool = False) -> Iterator[Label]:
        """All labels, the newest first, read page by page; raises `StoreUnavailable`."""
        after: str | None = None
        while True:
            page = self._page(
                tenant,
                limit=LABELS_AT_ONCE,
                after=after,
                with_contents=with_contents,
                newest_first=True,
            )
            yield from page.labels
            if page.next is None:
                return
            after = page.next


def of_panel(labels: Iterable[Label], panel: str, policy: str) -> list[Label]:
    """The labels of what that panel judged under that policy: only they are weighed for it."""
    return [one for one in labels if one.verdict.panel == panel and one.verdict.policy == policy]


def make(panel: Panel, labels: Iterable[Label], policy: str, why: Sequence[str] = ()) -> Made:
    """The panel recalibrated on its own labels under a policy.

    Raises `InvalidRequest` where its scores are no probabilities, and `Conflict` where there are
    too few labels.
    """
    try:
        found = recalibration.recalibration(panel, of_panel(labels, panel.name, policy))
    except NotCalibrated as problem:
        raise InvalidRequest(
            f"{problem}; learn a calibrated panel with `quorum calibrate` first",
            code="not_calibrated",
            field="panel",
        ) from None
    except TooFewLabels as problem:
        raise Conflict(
            f"{panel.name} under {policy}: {problem}",
            code="too_few_labels",
            field="panel",
            limit=recalibration.LEAST_LABELS,
        ) from None
    return Made(found, panel, policy, tuple(why))


def reasons(
    panel: Panel, labels: Sequence[Label], last: Proposal | None, now: datetime
) -> tuple[str, ...]:
    """The reasons for a proposal now: voters that drifted, or enough new labels; empty if none.

    A proposal of the version in force that still waits, or was withdrawn, is not repeated before
    there are enough labels after it.
    """
    new = [
        one.weight for one in labels if last is None or one.reviews[-1].reviewed_at > last.made_at
    ]
    worth = recalibration.effective(new)
    found = []
    if worth >= NEW_LABELS:
        found.append(f"{len(new)} labels since the last proposal, worth {math.floor(worth)}")
    if last is None or last.from_version != panel.version:
        drifted = [
            one.voter
            for one in summary(labels, now).voters
            if one.drifted and one.voter in panel.voters
        ]
        found += [f"{voter} agrees with people less than before" for voter in drifted]
    return tuple(found)
