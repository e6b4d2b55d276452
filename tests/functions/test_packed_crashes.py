"""Packs whose worker or voter crashes at each of its writes, and packs at two workers at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from time import sleep, time
from typing import Any, NamedTuple

import pytest
from quorum.aws.leases import LEASE_SECONDS
from quorum.core.models import Decision

from tests.conftest import empty_account
from tests.functions.conftest import make_tables
from tests.functions.test_packed import NAMES, Functions, panel_of
from tests.world import (
    Death,
    Gateway,
    Life,
    Mortal,
    World,
    batch_booked,
    booked,
    decided,
    items,
    open_intents,
)

TEXTS = ("one", "two")
FOREVER = 10_000
"""More writes than anything here does."""


class MortalVoters(Functions):
    """Voters' functions: one that crashes failed, and the next call has a new environment."""

    def __init__(self, gateway: Gateway, dynamodb: Any, life: Life) -> None:
        super().__init__(gateway)
        self._dynamodb = dynamodb
        self._life = life

    def invoke(self, **given: Any) -> dict[str, Any]:
        living = Life(FOREVER, after=False) if self._life.dead else self._life
        self.world = worker(self._dynamodb, living, self)
        try:
            return super().invoke(**given)
        except Death:
            return {"FunctionError": "Unhandled"}


def worker(dynamodb: Any, life: Life, functions: Functions, *, later: float = 0) -> World:
    return World(
        Mortal(dynamodb, life),
        functions.gateway,
        clock=lambda: time() + later,
        panel_of=panel_of,
        functions=functions,
        voter_functions=NAMES,
    )


class Left(NamedTuple):
    """What is left when one crashed at a write and the message came again."""

    at: int
    dynamodb: Any
    world: World
    functions: Functions
    gateway: Gateway


def deaths(dynamodb: Any, who: str) -> Iterator[Left]:
    """A crash before each write of the worker, or of a voter; then another worker has the items.

    What a crash after a write leaves is what one before the next write leaves.
    """
    at = 0
    while True:
        at += 1
        empty_account()
        make_tables(dynamodb)
        gateway, life = Gateway(), Life(at, after=False)
        gateway.says["two"] = Decision.UNSAFE
        immortal = Life(FOREVER, after=False)
        functions = MortalVoters(gateway, dynamodb, life if who == "voter" else immortal)
        functions.unread.add("two")  # so that the machine asks too
        worker(dynamodb, immortal, functions).new_batch(len(TEXTS))
        dying = worker(dynamodb, life if who == "worker" else immortal, functions)
        with suppress(Death):
            dying.judge(items(*TEXTS))
        if not life.dead:
            return
        # Long enough that the leases of the dead have lapsed.
        next_one = worker(dynamodb, immortal, functions, later=LEASE_SECONDS + 1)
        outcomes = next_one.judge(items(*TEXTS))
        assert set(outcomes.values()) == {None}, at
        yield Left(at, dynamodb, next_one, functions, gateway)


@pytest.mark.parametrize("who", ["worker", "voter"])
def test_a_pack_whose_worker_or_voter_dies_ends_the_same_and_no_cost_is_lost(
    account: Any, who: str
) -> None:
    seen = 0
    for at, dynamodb, world, functions, gateway in deaths(account, who):
        view = world.view()
        assert view.state == "complete", at
        assert view.decisions == {"safe": 1, "unsafe": 1, "needs_review": 0}, at
        assert decided(dynamodb) == {"safe": 1, "unsafe": 1, "needs_review": 0}, at
        paid = functions.billed + gateway.billed
        # What a crash kept from the books stands in an intent, and is counted by budgets.
        assert booked(dynamodb) <= paid <= booked(dynamodb) + open_intents(dynamodb), at
        assert view.cost_usd == batch_booked(dynamodb) == booked(dynamodb), at
        if who == "worker":  # the voters live: what a pack bought is there for the next worker
            assert functions.packs == {"gpt-4.1": 1, "gemini-2.5-flash": 1}, at
        seen += 1
    assert seen > 3


@pytest.mark.parametrize("same", [True, False], ids=["the same items", "the same contents"])
def test_two_workers_with_the_same_pack_buy_it_once(aws: Any, *, same: bool) -> None:
    gateway = Gateway()
    functions = Functions(gateway)
    workers = [
        World(aws, gateway, panel_of=panel_of, functions=functions, voter_functions=NAMES)
        for _ in range(2)
    ]
    functions.world = workers[0]
    once = functions.invoke

    def slowly(**given: Any) -> dict[str, Any]:
        sleep(0.1)  # long enough that the other worker finds the contents taken
        return once(**given)

    functions.invoke = slowly  # type: ignore[method-assign] # as a call takes time
    parts = [items(*TEXTS), items(*TEXTS, start=0 if same else len(TEXTS))]
    count = len(TEXTS) if same else 2 * len(TEXTS)
    workers[0].new_batch(count)
    ready = threading.Barrier(2)

    def work(one: World, part: Any) -> Any:
        ready.wait()
        return one.judge(part)

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(work, workers, parts))
    assert {failure for outcome in outcomes for failure in outcome.values()} == {None}
    # Where both took some of the contents each bought a pack of its own: no content is in two.
    asked = sum(functions.sizes) + sum(gateway.calls.values())
    assert asked == 2 * len(TEXTS)
    view = workers[0].view()
    assert (view.state, view.settled, view.decisions["safe"]) == ("complete", count, count)
    paid = functions.billed + gateway.billed
    assert view.cost_usd == booked(aws) == batch_booked(aws) == paid
    assert open_intents(aws) == 0
