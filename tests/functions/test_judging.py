"""Many items judged: each settled once, each content paid for once, whatever happens on the way."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from time import time
from typing import Any

import pytest
from quorum.aws.leases import LEASE_SECONDS
from quorum.core.errors import BudgetSpent, Postponed, Undeliverable
from quorum.core.models import Decision
from quorum.ledger.budget import Thresholds
from quorum.ledger.costs import INTENT_SECONDS, Costs
from quorum.vote.requests import VerdictRequest

from tests.world import (
    BATCH,
    PRICE,
    TENANT,
    Death,
    Gateway,
    Life,
    Mortal,
    Serial,
    World,
    batch_booked,
    booked,
    decided,
    items,
    open_intents,
    stored,
)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def world(aws: Any, gateway: Gateway) -> World:
    return World(aws, gateway)


def test_every_item_is_settled_and_counted_in_its_batch(
    world: World, gateway: Gateway, aws: Any
) -> None:
    gateway.says["three"] = Decision.UNSAFE
    world.new_batch(3)
    assert set(world.judge(items("one", "two", "three")).values()) == {None}
    view = world.view()
    assert view.state == "complete"
    assert view.decisions == {"safe": 2, "unsafe": 1, "needs_review": 0}
    assert view.settled == 3
    assert view.cost_usd == gateway.billed == booked(aws) == batch_booked(aws)
    assert decided(aws) == view.decisions


def test_items_judged_again_are_neither_paid_nor_counted_again(
    world: World, gateway: Gateway, aws: Any
) -> None:
    world.new_batch(2)
    world.judge(items("one", "two"))
    before = (stored(aws), booked(aws), world.view(), dict(gateway.calls))
    world.judge(items("one", "two"))
    world.judge([*items("one", "two"), *items("one", "two")])
    after = (stored(aws), booked(aws), world.view(), dict(gateway.calls))
    assert after == before


def test_the_same_content_is_asked_about_once_in_one_invocation(
    world: World, gateway: Gateway
) -> None:
    world.new_batch(6)
    world.judge(items("spam", "spam", " spam\u200b ", "SPAM", "spam", "ham"))
    # near-identical contents share a vote; shouting does not
    assert {text for _, text in gateway.calls} == {"spam", "SPAM", "ham"}
    assert set(gateway.calls.values()) == {1}
    view = world.view()
    assert view.settled == 6
    assert view.cached_votes == 3 * 2
    assert view.saved_usd == 6 * PRICE
    assert view.hit_rate == pytest.approx(0.5)


def test_the_same_text_in_another_context_is_asked_about_anew(
    world: World, gateway: Gateway
) -> None:
    world.new_batch(4)
    contexts = [None, {"parent": "a game"}, {"parent": "an address"}, {"parent": " a  game"}]
    world.judge(
        [
            one._replace(request=VerdictRequest(content="kill it", context=context))
            for one, context in zip(items("a", "b", "c", "d"), contexts, strict=True)
        ]
    )
    assert set(gateway.calls.values()) == {3}
    assert world.view().settled == 4


def test_the_same_content_is_asked_about_once_by_workers_at_the_same_time(
    aws: Any, gateway: Gateway
) -> None:
    gateway.seconds = 0.2
    workers = [World(aws, gateway) for _ in range(3)]
    workers[0].new_batch(6)
    parts = [items("spam", "spam", start=2 * number) for number in range(3)]
    ready = threading.Barrier(3)

    def work(worker: World, part: Any) -> Any:
        ready.wait()
        return worker.judge(part)

    with ThreadPoolExecutor(3) as pool:
        outcomes = list(pool.map(work, workers, parts))
    assert {failure for outcome in outcomes for failure in outcome.values()} == {None}
    assert set(gateway.calls.values()) == {1}
    assert workers[0].view().settled == 6
    assert booked(aws) == gateway.billed


def test_the_same_item_at_two_workers_at_the_same_time_is_paid_for_once(
    aws: Any, gateway: Gateway
) -> None:
    gateway.seconds = 0.2
    workers = [World(aws, gateway) for _ in range(2)]
    workers[0].new_batch(1)
    ready = threading.Barrier(2)

    def work(worker: World) -> Any:
        ready.wait()
        return worker.judge(items("once"))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, workers))
    assert set(gateway.calls.values()) == {1}
    assert workers[0].view().settled == 1


def test_items_of_no_batch_are_judged_too(world: World, aws: Any) -> None:
    assert set(world.judge(items("one", "one", batch=None)).values()) == {None}
    assert decided(aws)["safe"] == 2


def test_an_item_of_an_unknown_batch_is_undeliverable(world: World, gateway: Gateway) -> None:
    (failure,) = world.judge(items("one")).values()
    assert isinstance(failure, Undeliverable)
    assert not gateway.calls


def test_what_has_not_begun_when_a_batch_is_cancelled_is_not_begun(
    world: World, gateway: Gateway
) -> None:
    world.new_batch(2)
    world.judge(items("one"))
    world.batches.cancel(TENANT, BATCH)
    assert set(world.judge(items("one", "two")).values()) == {None}
    view = world.view()
    assert (view.state, view.settled, view.cancelled, view.pending) == ("cancelled", 1, 1, 0)
    assert "two" not in {text for _, text in gateway.calls}


def test_an_item_whose_voters_are_throttled_is_postponed_and_not_settled(
    world: World, gateway: Gateway, aws: Any
) -> None:
    world.new_batch(1)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    (failure,) = world.judge(items("one")).values()
    assert isinstance(failure, Postponed)
    assert failure.retry_after_seconds == 7
    assert "gemini-2.5-flash throttled" in failure.reason
    assert stored(aws) == {}
    gateway.down = set()
    assert set(world.judge(items("one")).values()) == {None}
    assert booked(aws) == gateway.billed


def test_one_voter_down_does_not_postpone_a_panel_that_has_its_quorum(
    world: World, gateway: Gateway
) -> None:
    world.new_batch(1)
    gateway.down = {"deepseek-v3.2"}
    assert set(world.judge(items("one")).values()) == {None}


def test_a_spent_budget_stops_a_tenant_and_says_when_it_resets(aws: Any, gateway: Gateway) -> None:
    thresholds = Thresholds(budget_tenant_usd=2 * PRICE)
    world = World(aws, gateway, thresholds=thresholds, clock=time)
    world.new_batch(2)
    world.judge(items("one"))
    (failure,) = world.judge(items("two", start=1)).values()
    assert isinstance(failure, BudgetSpent)
    assert str(failure.limit).endswith("T00:00:00+00:00")
    assert "two" not in {text for _, text in gateway.calls}


class Calls(Serial):
    """DynamoDB that notes which calls it gets."""

    def __init__(self, dynamodb: Any) -> None:
        super().__init__(dynamodb)
        self.names: list[str] = []

    def called(self, name: str, do: Callable[[], Any]) -> Any:
        self.names.append(name)
        return do()


def test_a_budget_is_read_from_two_counters_however_much_was_spent_and_by_whom(
    aws: Any, gateway: Gateway
) -> None:
    calls = Calls(aws)
    world = World(
        calls,
        gateway,
        thresholds=Thresholds(budget_tenant_usd=Decimal(9), budget_day_usd=Decimal(9)),
    )
    world.judge(items("one", "two", "three", batch=None))
    others = [one._replace(tenant="globex") for one in items("one", "two", batch=None)]
    world.judge(others)
    calls.names.clear()
    world.app.budget.check(TENANT)
    assert calls.names == ["batch_get_item"] * 2  # the tenant's and everybody's, all their shards


@pytest.mark.parametrize("what", ["alert_batch_usd", "alert_tenant_usd", "alert_day_usd"])
def test_an_alert_is_published_once_however_many_notice(
    aws: Any, gateway: Gateway, what: str
) -> None:
    published: list[dict[str, str]] = []

    class Topic:
        def publish(self, **message: str) -> None:
            published.append(message)

    thresholds = Thresholds.model_validate({what: 3 * PRICE})
    worlds = [World(aws, gateway, thresholds=thresholds, sns=Topic()) for _ in range(2)]
    worlds[0].new_batch(5)
    worlds[0].judge(items("one"))
    assert published == []
    for number, text in enumerate(["two", "three", "four", "five"], 1):
        worlds[number % 2].judge(items(text, start=number))
    (alert,) = published
    assert '"limit_usd": "0.00384"' in alert["Message"]
    assert worlds[0].view().alerted is (what == "alert_batch_usd")


# ---- crashes ---------------------------------------------------------------------------------

TEXTS = ("one", "three", "one")
"""Two contents and a duplicate: 15 writes with nobody dying."""


def state(aws: Any) -> Any:
    """Everything that must be the same however it came about: all but times."""
    verdicts = {
        key: (entry["decision"], entry["batch"], entry["item"])
        for key, entry in stored(aws).items()
    }
    view = World(aws, Gateway()).view()
    return verdicts, view.decisions, view.settled, view.rejected, view.dead, decided(aws)


def dies(aws: Any, gateway: Gateway, writes: int, *, after: bool) -> bool:
    """Whether a worker that dies with that write was alive until then."""
    life = Life(writes, after=after)
    mortal: Any = Mortal(aws, life)
    try:
        World(mortal, gateway).judge(items(*TEXTS))
    except Death:
        return True
    return life.dead


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dying_at_any_write_and_judging_again_ends_in_the_same_state(
    aws: Any, *, after: bool
) -> None:
    def fresh() -> Gateway:
        for table in ("VotesTable", "VerdictsTable", "UsageTable"):
            _empty(aws, table)
        gateway = Gateway()
        gateway.says["three"] = Decision.UNSAFE
        World(aws, gateway).new_batch(len(TEXTS))
        return gateway

    gateway = fresh()
    World(aws, gateway).judge(items(*TEXTS))
    wanted, paid = state(aws), gateway.billed
    writes = 0
    while True:
        writes += 1
        gateway = fresh()
        if not dies(aws, gateway, writes, after=after):
            break
        # long enough that the claims of the dead have lapsed
        later = World(aws, gateway, clock=lambda: time() + LEASE_SECONDS + 1)
        assert set(later.judge(items(*TEXTS)).values()) == {None}
        assert state(aws) == wanted, f"died at write {writes}"
        assert booked(aws) <= gateway.billed <= booked(aws) + open_intents(aws)
        assert booked(aws) == paid == batch_booked(aws)
        assert sum(_verdict_costs(aws), Decimal(0)) == paid
        _every_intent_is_closed_once(aws, gateway)
    assert writes > 12


def _verdict_costs(aws: Any) -> Sequence[Decimal]:
    entries = aws.Table("UsageTable").scan()["Items"]
    return [e["verdict_cost_usd"] for e in entries if e["key"].startswith("decisions#")]


def _every_intent_is_closed_once(aws: Any, gateway: Gateway) -> None:
    left = open_intents(aws)
    costs = Costs(
        aws,
        "UsageTable",
        krw_per_usd=Decimal(1350),
        krw_as_of=date(2026, 11, 1),
        clock=lambda: time() + INTENT_SECONDS + 1,
    )
    assert costs.close_intents() == []
    assert costs.close_intents() == []
    usage = aws.Table("UsageTable").scan()["Items"]
    closed = sum((item.get("possibly_paid_usd", Decimal(0)) for item in usage), Decimal(0))
    assert closed == left
    assert open_intents(aws) == 0
    assert booked(aws) <= gateway.billed <= booked(aws) + closed


def _empty(aws: Any, name: str) -> None:
    table = aws.Table(name)
    (key,) = (part["AttributeName"] for part in table.key_schema)
    for entry in table.scan()["Items"]:
        table.delete_item(Key={key: entry[key]})
