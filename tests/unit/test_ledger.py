"""Bookings in the ledger, to the exact counter, key and day."""

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from quorum.core.errors import InvalidRequest
from quorum.core.models import Decision, Tokens, Verdict
from quorum.ledger import ledger

from tests import make

DAY = date(2026, 3, 1)
TOKENS = Tokens(input=400, cached_input=300, output=60, reasoning=50)
COST = Decimal("0.00128")
CALL = {
    "calls": 1,
    "abstentions": 0,
    "input_tokens": 400,
    "cached_input_tokens": 300,
    "output_tokens": 60,
    "reasoning_tokens": 50,
    "cost_usd": COST,
    "estimated_cost_usd": Decimal(0),
}
"""The counters of a vote of `TOKENS` at `COST`."""


def added(item: dict[str, Any]) -> tuple[str, dict[str, Any], str | None]:
    """What a transaction item of the table `Usage` does: its key, what it adds, and its entry."""
    ((action, update),) = item.items()
    assert action == "Update"
    names, values = update["ExpressionAttributeNames"], update["ExpressionAttributeValues"]
    setting, adding, amounts = update["UpdateExpression"].rpartition("ADD ")
    assert adding
    assert setting in {"", "SET #entry = :entry "}
    pairs = [pair.split(" ") for pair in amounts.split(", ")]
    counters = {names.pop(name): values.pop(value) for name, value in pairs}
    entry = values.pop(":entry") if setting else None
    # DynamoDB refuses a name or value that the expression does not use.
    assert (names, values) == ({"#entry": "entry"} if setting else {}, {})
    rest = {name: update[name] for name in update if not name.startswith(("Update", "Expression"))}
    assert rest == {"TableName": "Usage", "Key": {"key": rest["Key"]["key"]}}
    return rest["Key"]["key"], counters, entry


def verdict(decision: str = "safe", **changes: Any) -> Verdict:
    facts: dict[str, Any] = {
        "id": "verdict-1",
        "decision": Decision(decision),
        "score": 0.1,
        "confidence": 0.9,
        "reason": "made up",
        "categories": {},
        "votes": (),
        "rounds": 1,
        "calls": 2,
        "cost_usd": Decimal("0.002"),
        "saved_usd": Decimal("0.0005"),
        "latency_ms": 9,
        "answered_from": "panel",
        "panel": "default",
        "panel_version": "1",
        "policy_version": "1",
        "created_at": datetime(2026, 3, 1, 23, 59, tzinfo=UTC),
    }
    return Verdict.model_validate(facts | changes)


def test_a_call_is_added_to_the_day_of_its_model_and_tenant() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=COST)
    booked, of_tenant, of_all = ledger.paid("Usage", "acme", "gpt-4.1", vote, day=DAY, shard=0)
    assert added(booked) == ("usage#2026-03-01#gpt-4.1#acme", CALL, "day#2026-03-01")
    for spent, whose in ((of_tenant, "acme"), (of_all, "")):
        assert spent["Update"] == {
            "TableName": "Usage",
            "Key": {"key": f"spent#2026-03-01#{whose}"},
            "UpdateExpression": "SET expires_at = :expires ADD cost_usd :cost_usd",
            "ExpressionAttributeValues": {
                ":cost_usd": COST,
                ":expires": int(datetime(2026, 3, 4, tzinfo=UTC).timestamp()),
            },
        }


def test_a_call_that_cost_nothing_is_booked_and_no_ones_spending() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=Decimal(0))
    assert len(ledger.paid("Usage", "acme", "gpt-4.1", vote, day=DAY, shard=3)) == 1


def test_all_counters_of_a_transaction_are_in_the_shard_of_one_number() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=COST)
    items = ledger.paid("Usage", "acme", "gpt-4.1", vote, day=DAY, shard=7)
    items.append(ledger.paid_in_batch("Usage", "acme", "batch-1", vote, shard=7))
    items += ledger.decided("Usage", "acme", [verdict("safe")], shard=7)
    items.append(ledger.compared("Usage", "acme", "one@1", "two@1", {"safe_safe": 1}, shard=7))
    assert [item["Update"]["Key"]["key"] for item in items] == [
        "usage#2026-03-01#gpt-4.1#acme~7",
        "spent#2026-03-01#acme~7",
        "spent#2026-03-01#~7",
        "batch#acme#batch-1~7",
        "decisions#2026-03-01#acme~7",
        "compared#acme#one@1#two@1~7",
    ]
    assert {item["Update"]["TableName"] for item in items} == {"Usage"}
    assert added(items[0])[2] == added(items[4])[2] == "day#2026-03-01~7"
    assert ledger.spent_key(DAY) == "spent#2026-03-01#"
    assert ledger.day_entries(DAY)[7] == "day#2026-03-01~7"


def test_an_abstention_that_cost_something_is_counted_as_both() -> None:
    abstention = make.abstention(tokens=TOKENS, cost_usd=COST)
    booked, *_ = ledger.paid("Usage", "acme", "gpt-4.1", abstention, day=DAY, shard=0)
    _, counters, _ = added(booked)
    assert counters == CALL | {"abstentions": 1}


def test_a_cost_that_is_estimated_is_also_counted_apart() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=COST, cost_estimated=True)
    booked, *_ = ledger.paid("Usage", "acme", "gpt-4.1", vote, day=DAY, shard=0)
    _, counters, _ = added(booked)
    assert counters == CALL | {"estimated_cost_usd": COST}


def test_a_call_of_a_batch_is_added_to_the_batch_and_listed_under_no_day() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=COST)
    booked = added(ledger.paid_in_batch("Usage", "acme", "batch-1", vote, shard=0))
    assert booked == ("batch#acme#batch-1", CALL, None)


def test_an_appeal_is_counted_on_the_day_of_its_tenant() -> None:
    booked = added(ledger.appealed("Usage", "acme", {"made": 1}, day=DAY))
    assert booked == ("appeals#2026-03-01#acme", {"made": 1}, None)


def test_a_call_that_may_have_been_paid_is_counted_apart_from_those_that_were() -> None:
    assert added(ledger.possibly_paid("Usage", "acme", "gpt-4.1", COST, day=DAY)) == (
        "usage#2026-03-01#gpt-4.1#acme",
        {"possibly_paid_calls": 1, "possibly_paid_usd": COST},
        "day#2026-03-01",
    )


def test_an_answer_is_counted_on_the_day_of_its_tenant() -> None:
    assert added(ledger.answered("Usage", "acme", {"hits": 1}, day=DAY)) == (
        "answers#2026-03-01#acme",
        {"hits": 1},
        "day#2026-03-01",
    )


def test_an_operations_documents_and_tokens_are_counted_for_its_estimates() -> None:
    assert added(ledger.worked("Usage", "acme", "summarize", "gpt-4.1", TOKENS)) == (
        "operation#acme#summarize#gpt-4.1",
        {"documents": 1, "input_tokens": 400, "output_tokens": 60},
        None,
    )


def test_verdicts_are_counted_by_decision_with_what_they_cost_and_saved() -> None:
    cached = [
        make.cast(voter, tokens=TOKENS, cached=True, cost_usd=Decimal(0)) for voter in ("a", "b")
    ]
    bought = make.cast("c", tokens=TOKENS)
    failed = make.abstention("d", tokens=TOKENS, cached=True)
    found = ledger.counted(
        [
            verdict("unsafe", votes=(*cached, bought)),
            verdict("unsafe", cost_usd=Decimal("0.004"), saved_usd=Decimal(0), votes=(failed,)),
            verdict("needs_review", calls=3, cost_usd=Decimal("0.001"), votes=(cached[0],)),
        ]
    )
    assert found == {
        "safe": 0,
        "unsafe": 2,
        "needs_review": 1,
        "safe_cost_usd": Decimal(0),
        "unsafe_cost_usd": Decimal("0.006"),
        "needs_review_cost_usd": Decimal("0.001"),
        "verdict_cost_usd": Decimal("0.007"),
        "calls": 7,
        "cached_votes": 3,
        "saved_tokens": 3 * 460,
        "saved_usd": Decimal("0.001"),
    }
    money = [amount for name, amount in ledger.counted([]).items() if name.endswith("_usd")]
    assert all(isinstance(amount, Decimal) for amount in money)  # DynamoDB keeps no other


def test_verdicts_are_counted_on_the_days_they_were_given() -> None:
    late, early = verdict("safe"), verdict("unsafe", created_at=datetime(2026, 3, 2, tzinfo=UTC))
    items = [added(item) for item in ledger.decided("Usage", "acme", [late, early, late], shard=0)]
    assert items == [
        ("decisions#2026-03-01#acme", ledger.counted([late, late]), "day#2026-03-01"),
        ("decisions#2026-03-02#acme", ledger.counted([early]), "day#2026-03-02"),
    ]
    assert ledger.decided("Usage", "acme", [], shard=0) == []


def test_a_report_has_between_one_day_and_the_longest() -> None:
    ledger.require_days(DAY, DAY)
    ledger.require_days(date(2024, 1, 1), date(2024, 12, 31))
    for end in (date(2026, 2, 28), date(2027, 3, 2)):
        with pytest.raises(InvalidRequest) as refused:
            ledger.require_days(DAY, end)
        assert str(refused.value) == "to: must not be before from, nor 366 days after it"
        assert (refused.value.code, refused.value.field) == ("invalid_to", "to")
        assert refused.value.limit == ledger.LONGEST_DAYS


@pytest.fixture(params=["UTC-14", "UTC+12"])
def zone(request: pytest.FixtureRequest) -> Iterator[None]:
    """A machine in one of two time zones that at no time have the same day."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("zone")
def test_today_is_that_of_utc_wherever_the_machine_is() -> None:
    before = datetime.now(UTC).date()
    assert before <= ledger.today() <= datetime.now(UTC).date()


@pytest.mark.usefixtures("zone")
def test_what_was_paid_on_a_day_is_kept_until_the_same_moment_wherever_the_machine_is() -> None:
    vote = make.cast(tokens=TOKENS, cost_usd=COST)
    _, spent, _ = ledger.paid("Usage", "acme", "gpt-4.1", vote, day=DAY, shard=0)
    expires = spent["Update"]["ExpressionAttributeValues"][":expires"]
    assert expires == int(datetime(2026, 3, 4, tzinfo=UTC).timestamp())
