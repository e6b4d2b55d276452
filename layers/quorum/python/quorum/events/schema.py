"""The events, version 1: what happened, in ids and figures. Pure.

No event holds content, a context, metadata, a reason, a note, an author's words or a reviewer's
name: an event leaves the deployment, and what is in it cannot be called back. Whoever needs more
reads `GET /verdicts/{id}` with a key.

An event's id follows from what happened, so the same event sent again has the same one. Within a
version fields are only added; a receiver ignores those it does not know.
"""

from datetime import date, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, TypeAdapter

from quorum.core.models import (
    AppealState,
    CategoryName,
    Decision,
    Disposition,
    Dollars,
    Frozen,
    Probability,
    ReviewCategories,
    is_none,
)

VERSION: Literal[1] = 1
"""The version of the schema, in every event."""

EventId = Annotated[str, StringConstraints(pattern=r"^evt_[0-9a-f]{32}$")]


class EventType(StrEnum):
    """The kinds of events."""

    VERDICT_DECIDED = "verdict.decided"
    REVIEW_DECIDED = "review.decided"
    REVIEW_UNDONE = "review.undone"
    APPEAL_MADE = "appeal.made"
    APPEAL_DECIDED = "appeal.decided"
    DECISION_OVERTURNED = "decision.overturned"
    BUDGET_ALERT = "budget.alert"
    VOTER_DRIFTED = "voter.drifted"
    WEBHOOK_TEST = "webhook.test"


class _Event(Frozen):
    """What every event has: its id, the version, the time, and the tenant it is about.

    Without a tenant it is about the whole deployment.
    """

    id: EventId
    version: Literal[1] = VERSION
    timestamp: datetime
    tenant: str | None = None


class _OfVerdict(Frozen):
    """The verdict that an event is about, and the caller's own id for its content."""

    verdict_id: str
    content_id: str | None = Field(default=None, exclude_if=is_none)


class VerdictData(_OfVerdict):
    """A verdict: `categories` are the flagged ones with their scores."""

    decision: Decision
    action: Disposition
    score: Probability
    confidence: Probability
    categories: dict[CategoryName, Probability]
    answered_from: Literal["panel", "cache", "review", "list"]
    panel: str
    panel_version: str
    policy: str
    policy_version: str
    language: str | None = Field(default=None, exclude_if=is_none)
    rounds: int
    calls: int
    cost_usd: Dollars
    latency_ms: int


class ReviewData(_OfVerdict):
    """A person's decision, for `verdicts` verdicts on the same content.

    Until `final_at` the reviewer may take it back.
    """

    decision: Decision
    categories: ReviewCategories = ()
    panel_decision: Decision
    verdicts: int
    reviewed_at: datetime
    final_at: datetime


class UndoneData(_OfVerdict):
    """A decision that was taken back: `undone`, and the decision that holds now."""

    undone: Decision
    decision: Decision


class AppealMadeData(_OfVerdict):
    """An appeal against `decision`."""

    decision: Decision
    made_at: datetime


class AppealDecidedData(AppealMadeData):
    """What became of an appeal against `decision`."""

    state: AppealState
    decided_at: datetime


class OverturnedData(_OfVerdict):
    """A person decided otherwise than the panel or the person before."""

    before: Decision
    after: Decision
    because: Literal["review", "appeal"]


class BudgetData(Frozen):
    """Spending that reached a threshold: of a batch, a tenant's day or everybody's day (UTC)."""

    what: Literal["batch", "tenant", "day"]
    limit_usd: Dollars
    spent_usd: Dollars
    day: date
    batch: str | None = Field(default=None, exclude_if=is_none)


class DriftData(Frozen):
    """A voter that agreed with too few verdicts, three days in a row."""

    voter: str
    least_agreement: Probability


class SentTest(Frozen):
    """A test of a webhook."""

    webhook: str


class VerdictDecided(_Event):
    """A verdict was recorded that the tenant's rule names."""

    type: Literal[EventType.VERDICT_DECIDED] = EventType.VERDICT_DECIDED
    data: VerdictData


class ReviewDecided(_Event):
    """A person decided a content."""

    type: Literal[EventType.REVIEW_DECIDED] = EventType.REVIEW_DECIDED
    data: ReviewData


class ReviewUndone(_Event):
    """A person's decision was taken back or withdrawn: the content waits again."""

    type: Literal[EventType.REVIEW_UNDONE] = EventType.REVIEW_UNDONE
    data: UndoneData


class AppealMade(_Event):
    """An author asked to decide again."""

    type: Literal[EventType.APPEAL_MADE] = EventType.APPEAL_MADE
    data: AppealMadeData


class AppealDecided(_Event):
    """An appeal was upheld or overturned."""

    type: Literal[EventType.APPEAL_DECIDED] = EventType.APPEAL_DECIDED
    data: AppealDecidedData


class DecisionOverturned(_Event):
    """A decision was changed by a person, after an appeal or by a review."""

    type: Literal[EventType.DECISION_OVERTURNED] = EventType.DECISION_OVERTURNED
    data: OverturnedData


class BudgetAlert(_Event):
    """Spending reached the threshold of an alert."""

    type: Literal[EventType.BUDGET_ALERT] = EventType.BUDGET_ALERT
    data: BudgetData


class VoterDrifted(_Event):
    """A voter's agreement with the verdicts fell below the deployment's threshold."""

    type: Literal[EventType.VOTER_DRIFTED] = EventType.VOTER_DRIFTED
    data: DriftData


class WebhookTest(_Event):
    """An operator tests a webhook."""

    type: Literal[EventType.WEBHOOK_TEST] = EventType.WEBHOOK_TEST
    data: SentTest


Event = Annotated[
    VerdictDecided
    | ReviewDecided
    | ReviewUndone
    | AppealMade
    | AppealDecided
    | DecisionOverturned
    | BudgetAlert
    | VoterDrifted
    | WebhookTest,
    Field(discriminator="type"),
]
EVENT: TypeAdapter[Event] = TypeAdapter(Event)


def event_id(kind: EventType, tenant: str | None, *named: object) -> str:
    """The id of an event of that kind; `named` says which one of the tenant's it is."""
    parts = (kind.value, tenant or "", *map(str, named))
    written = "".join(f"{len(part)}:{part}" for part in parts)
    return f"evt_{sha256(written.encode()).hexdigest()[:32]}"


def read(written: str) -> Event:
    """An event as it was written, also by newer code; raises `ValidationError`."""
    return EVENT.validate_json(written, extra="ignore")
