"""The events in a change of the Verdicts table, read from its item before and after. Pure.

What is stored is the only source: an event exists if and only if what it tells of was stored,
whichever function stored it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from quorum.core.models import Appeal, AppealState, Decision, Review, Verdict
from quorum.events.schema import (
    AppealDecided,
    AppealDecidedData,
    AppealMade,
    AppealMadeData,
    DecisionOverturned,
    Event,
    EventType,
    OverturnedData,
    ReviewData,
    ReviewDecided,
    ReviewUndone,
    UndoneData,
    VerdictData,
    VerdictDecided,
    event_id,
)

UNDO = timedelta(seconds=30)
"""Time for which a reviewer may take a decision back (`quorum.vote.reviews.UNDO_SECONDS`)."""

TOLD_AGAIN = "told_again"
"""The field of an item that counts how often its events were told again, on request."""

Item = Mapping[str, Any]
_PREFIX = "verdict#"
_WAITS = "pending"
"""How the field `review` of a content begins that waits in the queue."""


class _State(NamedTuple):
    """A stored verdict with its reviews, the latest last, and its appeal.

    It stands for `seen` verdicts on the same content.
    """

    verdict: Verdict
    tenant: str
    reviews: tuple[Review, ...]
    appeal: Appeal | None
    waits: bool
    seen: int

    @property
    def decision(self) -> Decision:
        """The decision that holds: the latest person's, else the panel's."""
        latest = self.reviews[-1].decision if self.reviews else Decision.NEEDS_REVIEW
        return self.verdict.decision if latest is Decision.NEEDS_REVIEW else latest

    @property
    def ids(self) -> dict[str, str | None]:
        """The ids of the verdict, as events have them."""
        return {"verdict_id": self.verdict.id, "content_id": self.verdict.content_id}


def events_of(before: Item | None, after: Item | None) -> Iterator[Event]:
    """The events that a change of one item makes; none for items that are no verdicts.

    Raises `ValidationError` for an item that this release cannot read.
    """
    if after is None or "verdict" not in after:
        return
    now = _state(after)
    if before is None or "verdict" not in before:
        yield _decided(now)
        return
    if before.get(TOLD_AGAIN) != after.get(TOLD_AGAIN):
        yield from _anew(now)
        return
    if not _moved(before, after):
        return
    was = _state(before)
    yield from _of_reviews(was, now)
    yield from _of_appeal(was, now)


def _anew(now: _State) -> Iterator[Event]:
    """The events of a verdict as it is: its own, and those of its latest review and its appeal."""
    yield _decided(now)
    was = now._replace(reviews=now.reviews[:-1], waits=False)
    yield from _of_reviews(was, now)
    yield from _of_appeal(was._replace(appeal=None), now)


def _moved(before: Item, after: Item) -> bool:
    """Whether a person or an author did something: most changes are counts and claims."""
    return len(before.get("reviews", ())) != len(after.get("reviews", ())) or before.get(
        "appeal"
    ) != after.get("appeal")


def _state(item: Item) -> _State:
    verdict = Verdict.model_validate_json(str(item["verdict"]), extra="ignore")
    reviews = (
        Review.model_validate_json(str(one), extra="ignore") for one in item.get("reviews", ())
    )
    appeal = item.get("appeal")
    return _State(
        verdict=verdict,
        # A tenant's id may hold the sign between the parts; the verdict's id is known.
        tenant=str(item["id"]).removeprefix(_PREFIX).removesuffix(f"#{verdict.id}"),
        reviews=tuple(reviews),
        appeal=appeal and Appeal.model_validate_json(str(appeal), extra="ignore"),
        waits=str(item.get("review", "")).startswith(_WAITS),
        seen=int(item.get("seen", 1)),
    )


def _about(kind: EventType, state: _State, at: datetime, *named: object) -> dict[str, Any]:
    """The fields of an event about a verdict; `named` says which one of the verdict's it is."""
    found = event_id(kind, state.tenant, state.verdict.id, *named)
    return {"id": found, "timestamp": at, "tenant": state.tenant}


def _decided(state: _State) -> Event:
    verdict = state.verdict
    same = VerdictData.model_fields.keys() - {"verdict_id", "categories"}
    data = VerdictData(
        verdict_id=verdict.id,
        categories={
            name: one.score for name, one in verdict.category_scores.items() if one.flagged
        },
        **{name: getattr(verdict, name) for name in same},
    )
    kind = EventType.VERDICT_DECIDED
    return VerdictDecided(**_about(kind, state, verdict.created_at), data=data)


def _of_reviews(was: _State, now: _State) -> Iterator[Event]:
    number = len(now.reviews)
    if number <= len(was.reviews):
        return
    review = now.reviews[-1]
    if now.waits:
        if was.reviews and not was.waits:
            yield _undone(was, now, number)
        return
    data = ReviewData(
        **now.ids,
        decision=review.decision,
        categories=review.categories,
        panel_decision=now.verdict.decision,
        verdicts=now.seen,
        reviewed_at=review.reviewed_at,
        final_at=review.reviewed_at + UNDO,
    )
    about = _about(EventType.REVIEW_DECIDED, now, review.reviewed_at, number)
    yield ReviewDecided(**about, data=data)
    overturned = _overturned(was, now)
    if overturned is not None:
        about = _about(EventType.DECISION_OVERTURNED, now, review.reviewed_at, number)
        yield DecisionOverturned(**about, data=overturned)


def _undone(was: _State, now: _State, number: int) -> Event:
    """The event of a decision that was taken back; an earlier one holds again, if there is one."""
    # An earlier review that holds again has its own time; the one taken back is later than that.
    at = max(was.reviews[-1].reviewed_at, now.reviews[-1].reviewed_at)
    data = UndoneData(**now.ids, undone=was.reviews[-1].decision, decision=now.reviews[-1].decision)
    return ReviewUndone(**_about(EventType.REVIEW_UNDONE, now, at, number), data=data)


def _overturned(was: _State, now: _State) -> OverturnedData | None:
    """What changed, if a person decided otherwise than was decided before."""
    appealed = was.appeal is not None and was.appeal.state is AppealState.OPEN
    before = was.appeal.decision if was.appeal is not None and appealed else was.decision
    after = now.decision
    if Decision.NEEDS_REVIEW in (before, after) or before is after:
        return None
    because = "appeal" if appealed else "review"
    return OverturnedData(**now.ids, before=before, after=after, because=because)


def _of_appeal(was: _State, now: _State) -> Iterator[Event]:
    appeal, earlier = now.appeal, was.appeal
    if appeal is None or appeal == earlier:
        return
    made = AppealMadeData(**now.ids, decision=appeal.decision, made_at=appeal.made_at)
    if appeal.decided_at is not None:
        decided = AppealDecidedData(**dict(made), state=appeal.state, decided_at=appeal.decided_at)
        kind = EventType.APPEAL_DECIDED
        about = _about(kind, now, appeal.decided_at, appeal.made_at, appeal.decided_at)
        yield AppealDecided(**about, data=decided)
    elif earlier is None or earlier.made_at != appeal.made_at:  # else it is open again
        about = _about(EventType.APPEAL_MADE, now, appeal.made_at, appeal.made_at)
        yield AppealMade(**about, data=made)
