"""The events in what is stored: built from an item before and after, without any content."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from quorum.core.models import (
    Appeal,
    AppealState,
    CategoryScore,
    Decision,
    Review,
    Verdict,
)
from quorum.events import changes, schema
from quorum.events.alerts import event_of
from quorum.events.rules import SUBSCRIBED, EventRule, Subscription, VerdictRule
from quorum.events.schema import EventType, VerdictDecided, VoterDrifted
from quorum.vote.reviews import UNDO_SECONDS

from local import event_schema
from tests import make

WHEN = datetime(2026, 11, 27, 12, tzinfo=UTC)
SECRET = "SECRET"
TENANT = "ac#me"
"""A tenant whose id holds the sign between the parts of a key."""


def verdict(decision: str = "unsafe", **changed: Any) -> Verdict:
    facts: dict[str, Any] = {
        "id": "v1",
        "content_id": "comment-1",
        "decision": decision,
        "score": 0.91,
        "confidence": 0.9,
        "reason": f"{SECRET} reason",
        "categories": {"harassment": 0.9},
        "category_scores": {
            "harassment": CategoryScore(score=0.9, threshold=0.5, flagged=True),
            "hate": CategoryScore(score=0.1, threshold=0.5, flagged=False),
        },
        "votes": (make.cast(reason=f"{SECRET} of a voter"),),
        "rounds": 1,
        "calls": 1,
        "cost_usd": Decimal("0.00128"),
        "saved_usd": Decimal(0),
        "latency_ms": 120,
        "answered_from": "panel",
        "panel": "default",
        "panel_version": "abc",
        "policy_version": "def",
        "metadata": {"name": SECRET},
        "created_at": WHEN,
    }
    return Verdict.model_validate(facts | changed)


def review(decision: str, *, by: str = "ada", seconds: int = 60) -> Review:
    return Review(
        decision=Decision(decision),
        reviewer=by,
        note=SECRET,
        reviewed_at=WHEN + timedelta(seconds=seconds),
    )


def item(
    one: Verdict,
    reviews: Sequence[Review] = (),
    *,
    appeal: Appeal | None = None,
    waits: bool = False,
    **fields: Any,
) -> dict[str, Any]:
    stored = {
        "id": f"verdict#{TENANT}#{one.id}",
        "verdict": one.model_dump_json(),
        "reviews": [each.model_dump_json() for each in reviews],
        "review": f"pending:high:0#{TENANT}" if waits else f"reviewed#{TENANT}",
        "claimed_by": SECRET,
    } | fields
    return stored | ({} if appeal is None else {"appeal": appeal.model_dump_json()})


def events(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[Any]:
    return list(changes.events_of(before, after))


def test_a_stored_verdict_is_an_event_of_its_figures_and_ids_alone() -> None:
    (event,) = events(None, item(verdict()))
    assert isinstance(event, VerdictDecided)
    assert (event.tenant, event.timestamp) == (TENANT, WHEN)
    assert event.data.categories == {"harassment": 0.9}
    assert (event.data.verdict_id, event.data.content_id) == ("v1", "comment-1")
    written = json.loads(event.model_dump_json())
    assert written["data"]["cost_usd"] == "0.00128"
    assert written["type"] == "verdict.decided"


def test_a_dead_letter_that_is_judged_later_is_an_event_and_what_is_no_verdict_is_none() -> None:
    assert len(events({"id": "x", "dead": True}, item(verdict()))) == 1
    assert events(None, {"id": f"content#{TENANT}#v1", "content": SECRET}) == []
    assert events(item(verdict()), None) == []
    counted = item(verdict(), seen=5, last_seen="now", claimed_until=7)
    assert events(item(verdict()), counted) == []


def test_a_decision_is_told_at_once_with_the_time_until_which_it_may_be_taken_back() -> None:
    waits = item(verdict("needs_review"), waits=True)
    decided = item(verdict("needs_review"), [review("unsafe")], seen=3)
    (event,) = events(waits, decided)
    assert event.type is EventType.REVIEW_DECIDED
    assert (event.data.decision, event.data.panel_decision) == ("unsafe", "needs_review")
    assert event.data.verdicts == 3
    assert timedelta(seconds=UNDO_SECONDS) == changes.UNDO
    assert event.data.final_at - event.data.reviewed_at == changes.UNDO

    back = item(
        verdict("needs_review"), [review("unsafe"), review("needs_review", seconds=70)], waits=True
    )
    (undone,) = events(decided, back)
    assert undone.type is EventType.REVIEW_UNDONE
    assert (undone.data.undone, undone.data.decision) == ("unsafe", "needs_review")


def test_an_earlier_decision_that_holds_again_is_told_as_undone_and_not_as_decided() -> None:
    first, second = review("unsafe"), review("safe", by="grace", seconds=80)
    before = item(verdict("needs_review"), [first, second])
    (undone,) = events(before, item(verdict("needs_review"), [first, second, first], waits=True))
    assert undone.type is EventType.REVIEW_UNDONE
    assert (undone.data.undone, undone.data.decision) == ("safe", "unsafe")


@pytest.mark.parametrize(
    ("panel", "earlier", "decided", "overturned"),
    [
        ("safe", [], "unsafe", ("safe", "unsafe")),
        ("safe", [], "safe", None),
        ("needs_review", [], "unsafe", None),
        ("needs_review", ["unsafe"], "safe", ("unsafe", "safe")),
        ("safe", ["unsafe", "needs_review"], "unsafe", ("safe", "unsafe")),
    ],
)
def test_a_person_who_decides_otherwise_overturns(
    panel: str, earlier: list[str], decided: str, overturned: tuple[str, str] | None
) -> None:
    one, before = verdict(panel), [review(each) for each in earlier]
    found = events(item(one, before), item(one, [*before, review(decided)]))
    told = [each.data for each in found if each.type is EventType.DECISION_OVERTURNED]
    assert [(each.before, each.after) for each in told] == ([overturned] if overturned else [])


def test_an_appeal_is_told_when_it_is_made_and_when_it_is_decided_and_not_when_open_again() -> None:
    one, first = verdict("unsafe"), review("unsafe")
    made = Appeal(decision=Decision.UNSAFE, made_at=WHEN)
    state = {"state": AppealState.OVERTURNED, "decided_at": WHEN + timedelta(minutes=5)}
    decided = made.model_copy(update=state)
    waits = item(one, [first], appeal=made, waits=True)
    (told,) = events(item(one, [first]), waits)
    assert told.type is EventType.APPEAL_MADE
    after = item(one, [first, review("safe", by="grace")], appeal=decided)
    kinds = {each.type: each for each in events(waits, after)}
    assert list(kinds) == [
        *(EventType.REVIEW_DECIDED, EventType.DECISION_OVERTURNED, EventType.APPEAL_DECIDED)
    ]
    assert kinds[EventType.DECISION_OVERTURNED].data.because == "appeal"
    again = item(one, [first, review("safe", by="grace"), first], appeal=made, waits=True)
    assert [each.type for each in events(after, again)] == [EventType.REVIEW_UNDONE]


def test_no_event_holds_content_a_reason_a_note_metadata_or_a_reviewers_name() -> None:
    one, first = verdict("safe"), review("unsafe", by="ada@example.com")
    appealed = item(one, [first], appeal=Appeal(decision=Decision.UNSAFE, made_at=WHEN))
    told = [
        *events(None, item(one)),
        *events(item(one), item(one, [first])),
        *events(item(one, [first]), appealed),
    ]
    assert len(told) == 4
    written = " ".join(each.model_dump_json() for each in told)
    assert SECRET not in written
    assert "ada" not in written


def test_a_change_that_comes_again_has_the_same_ids_and_no_two_events_share_one() -> None:
    one, reviews = verdict("safe"), [review("unsafe")]
    steps = [None, item(one), item(one, reviews), item(one, [*reviews, review("safe")])]
    ids = [
        [each.id for before, after in pairwise(steps) for each in events(before, after)]
        for _ in range(2)
    ]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == len(ids[0]) == 5
    other = item(one) | {"id": f"verdict#zeta#{one.id}"}
    assert events(None, other)[0].id not in ids[0]


# ---- rules ----


def decided(**changed: Any) -> VerdictDecided:
    (event,) = events(None, item(verdict(**changed)))
    assert isinstance(event, VerdictDecided)
    return event


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        ({"decisions": ["unsafe"]}, True),
        ({"decisions": ["safe", "needs_review"]}, False),
        ({"categories": ["harassment", "sexual"]}, True),
        ({"categories": ["hate"]}, False),  # scored, and not flagged
        ({"min_score": 0.91}, True),
        ({"min_score": 0.92}, False),
        ({"decisions": ["unsafe"], "min_score": 0.95}, False),
        ({"decisions": ["unsafe"], "categories": ["harassment"], "min_score": 0.5}, True),
    ],
)
def test_a_rule_matches_where_all_of_its_conditions_hold(
    rule: dict[str, Any],
    matches: bool,
) -> None:
    assert VerdictRule.model_validate(rule).matches(decided()) is matches
    assert EventRule(verdicts=(VerdictRule.model_validate(rule),)).admits(decided()) is matches


def test_without_a_rule_every_verdict_that_is_not_safe_is_an_event_and_with_none_no_verdict() -> (
    None
):
    assert EventRule().admits(decided(decision="needs_review"))
    assert not EventRule().admits(decided(decision="safe"))
    assert not EventRule(verdicts=()).admits(decided())
    (reviewed,) = events(item(verdict()), item(verdict(), [review("unsafe")]))
    assert EventRule(verdicts=()).admits(reviewed)


def test_a_webhook_gets_its_types_and_of_verdicts_those_that_its_rules_name() -> None:
    assert Subscription().wants(decided())
    assert EventType.WEBHOOK_TEST not in SUBSCRIBED
    assert not Subscription(types=(EventType.REVIEW_DECIDED,)).wants(decided())
    severe = Subscription(verdicts=(VerdictRule(min_score=0.95),))
    assert not severe.wants(decided())
    assert severe.wants(decided(score=0.97))


def test_a_rule_that_says_nothing_and_a_subscription_to_tests_are_refused() -> None:
    with pytest.raises(ValueError, match="must name"):
        VerdictRule()
    with pytest.raises(ValueError, match="a test is sent"):
        Subscription(types=(EventType.WEBHOOK_TEST,))


# ---- alerts ----


def test_a_budget_alert_is_an_event_of_its_tenant() -> None:
    told = {"alert": "tenant", "limit_usd": "20", "spent_usd": "20.5", "day": "2026-11-27"}
    event = event_of(json.dumps(told | {"tenant": "acme"}), WHEN)
    assert event is not None
    assert (event.type, event.tenant) == (EventType.BUDGET_ALERT, "acme")
    again = event_of(json.dumps(told | {"tenant": "acme", "spent_usd": "21"}), WHEN)
    assert again is not None
    assert again.id == event.id  # published twice, it is one alert


def test_an_alarm_of_agreement_is_a_drift_and_other_alarms_are_no_events() -> None:
    alarm: dict[str, Any] = {
        "NewStateValue": "ALARM",
        "StateChangeTime": "2026-11-27T12:00:00.000+0000",
        "Trigger": {
            "MetricName": "AgreementWithVerdict",
            "Threshold": 0.7,
            "Dimensions": [
                {"name": "service", "value": "verdict"},
                {"name": "voter", "value": "gpt-4.1"},
            ],
        },
    }
    event = event_of(json.dumps(alarm), WHEN)
    assert isinstance(event, VoterDrifted)
    assert (event.tenant, event.data.voter, event.data.least_agreement) == (None, "gpt-4.1", 0.7)
    assert event_of(json.dumps(alarm | {"NewStateValue": "OK"}), WHEN) is None
    other = alarm | {"Trigger": alarm["Trigger"] | {"MetricName": "VotesFailed"}}
    assert event_of(json.dumps(other), WHEN) is None


# ---- the schema ----


def test_the_published_schema_is_that_of_the_models() -> None:
    assert event_schema.FILE.read_text() == event_schema.document(), "run `make openapi`"


def test_the_page_about_events_names_every_type_and_every_field() -> None:
    page = (Path(event_schema.FILE).parent / "events.md").read_text()
    for kind in EventType:
        assert f"`{kind}`" in page, kind
    for definition in json.loads(event_schema.FILE.read_text())["$defs"].values():
        for field in definition.get("properties", {}):
            assert f"`{field}`" in page, field


def test_an_event_of_newer_code_is_read_without_what_it_added() -> None:
    written = json.loads(decided().model_dump_json())
    written["data"]["added"] = written["added"] = 1
    assert schema.read(json.dumps(written)) == decided()
