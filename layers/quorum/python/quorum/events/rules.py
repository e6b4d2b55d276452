"""Rules: which verdicts become events, and which events a webhook gets. Pure."""

from typing import TYPE_CHECKING, Annotated, Self

from pydantic import Field, model_validator

from quorum.core.json_types import NUMBER
from quorum.core.models import CategoryName, Decision, Frozen
from quorum.events.schema import EventType, VerdictDecided

if TYPE_CHECKING:
    from quorum.events.schema import Event

RULES_LIMIT = 20
"""Rules of one list."""
SUBSCRIBED = tuple(one for one in EventType if one is not EventType.WEBHOOK_TEST)
"""The kinds that a webhook may be sent; a test is sent to the webhook that is tested."""


class VerdictRule(Frozen):
    """Conditions on a verdict, all of which hold: those that are not given do not matter.

    `categories`: one of them is flagged. `min_score`: the panel's score is at least that.
    """

    decisions: tuple[Decision, ...] | None = Field(default=None, min_length=1, max_length=3)
    categories: tuple[CategoryName, ...] | None = Field(default=None, min_length=1, max_length=20)
    min_score: Annotated[float, Field(ge=0, le=1), NUMBER] | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.decisions is None and self.categories is None and self.min_score is None:
            raise ValueError("must name decisions, categories or min_score")
        return self

    def matches(self, verdict: VerdictDecided) -> bool:
        """Whether all conditions hold for the verdict."""
        data = verdict.data
        return (
            (self.decisions is None or data.decision in self.decisions)
            and (self.categories is None or not data.categories.keys().isdisjoint(self.categories))
            and (self.min_score is None or data.score >= self.min_score)
        )


Rules = Annotated[tuple[VerdictRule, ...], Field(max_length=RULES_LIMIT)]


class EventRule(Frozen):
    """The tenant's rule: a verdict becomes an event if one of `verdicts` matches; none: never."""

    verdicts: Rules = (VerdictRule(decisions=(Decision.UNSAFE, Decision.NEEDS_REVIEW)),)

    def admits(self, event: "Event") -> bool:
        """Whether the event is one: whatever is not a verdict always is."""
        return not isinstance(event, VerdictDecided) or any(
            rule.matches(event) for rule in self.verdicts
        )


class Subscription(Frozen):
    """The events that a webhook gets: of these `types`, and of verdicts those that a rule names.

    Without `verdicts` it gets every verdict that is an event by the tenant's rule.
    """

    types: tuple[EventType, ...] = Field(default=SUBSCRIBED, min_length=1, max_length=20)
    verdicts: Rules | None = None

    @model_validator(mode="after")
    def _may_be_sent(self) -> Self:
        if not set(self.types) <= set(SUBSCRIBED):
            raise ValueError("types: a test is sent by POST /webhooks/{webhook}/test only")
        return self

    def wants(self, event: "Event") -> bool:
        """Whether the webhook gets the event."""
        if event.type not in self.types:
            return False
        if not isinstance(event, VerdictDecided) or self.verdicts is None:
            return True
        return any(rule.matches(event) for rule in self.verdicts)
