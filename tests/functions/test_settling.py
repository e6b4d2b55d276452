"""The settling transaction under any interleaving: items settled once, counters right."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quorum.batch import counters
from quorum.batch.records import FailedItem
from quorum.core.identifiers import item_id_of
from quorum.core.models import Decision, Verdict
from quorum.core.position import BatchPosition
from quorum.vote.evaluation import conclude_round
from quorum.vote.policy import DEFAULT
from quorum.vote.verdicts import Decided

from tests import make
from tests.conftest import empty_account
from tests.functions.conftest import make_tables
from tests.world import BATCH, TENANT, Gateway, Serial, World, decided, stored

ITEMS = 3


class Turns(Serial):
    """DynamoDB at which workers queue: each call waits until the schedule names its worker."""

    def __init__(self, dynamodb: Any, worker: int, schedule: "Schedule") -> None:
        super().__init__(dynamodb)
        self._worker = worker
        self._schedule = schedule

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)
        if not callable(call) or name == "exceptions":
            return call

        def in_turn(*arguments: Any, **named: Any) -> Any:
            with self._schedule.turn(self._worker):
                return call(*arguments, **named)

        return in_turn


class Schedule:
    """Whose call is next; when those named are done, whoever comes."""

    def __init__(self, order: list[int]) -> None:
        self._order = order
        self._done: set[int] = set()
        self._free = threading.Condition()

    @contextmanager
    def turn(self, worker: int) -> Iterator[None]:
        with self._free:
            self._free.wait_for(lambda: self._next() in (None, worker))
            if self._order:
                self._order.pop(0)
            try:
                yield
            finally:
                self._free.notify_all()

    def done(self, worker: int) -> None:
        with self._free:
            self._done.add(worker)
            self._free.notify_all()

    def _next(self) -> int | None:
        while self._order and self._order[0] in self._done:
            self._order.pop(0)
        return self._order[0] if self._order else None


@pytest.fixture(autouse=True)
def _spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item is counted in another shard of its batch's counters."""
    monkeypatch.setattr(counters, "UNSPREAD_ITEMS", 0)
    monkeypatch.setattr(counters, "NEIGHBOURS", 1)


def position(index: int) -> BatchPosition:
    return BatchPosition(batch=BATCH, index=index)


def verdict(index: int, decision: Decision) -> Decided:
    evaluation = make.evaluation(f"text {index}", verdict_id=item_id_of(TENANT, position(index)))
    votes = [make.cast(voter, decision) for voter in evaluation.panel.voters]
    found = conclude_round(evaluation, votes, DEFAULT, round_number=1, now=make.NOW).verdict
    assert isinstance(found, Verdict)
    return Decided(evaluation.content, found, position(index))


def revive(world: World, which: list[int]) -> None:
    for index in which:
        world.batches.revive(TENANT, position(index))


ACTIONS: dict[str, Callable[[World, list[int]], Any]] = {
    "safe": lambda world, which: world.verdicts.record_all(
        TENANT, [verdict(index, Decision.SAFE) for index in which]
    ),
    "unsafe": lambda world, which: world.verdicts.record_all(
        TENANT, [verdict(index, Decision.UNSAFE) for index in which]
    ),
    "dead": lambda world, which: world.batches.mark_failed(
        TENANT, "dead", [FailedItem(position(index), {"reason": "throttled"}) for index in which]
    ),
    "revive": revive,
}
WORKER = st.lists(
    st.tuples(
        st.sampled_from(sorted(ACTIONS)),
        st.lists(st.integers(0, ITEMS - 1), min_size=1, max_size=ITEMS, unique=True),
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(workers=st.lists(WORKER, min_size=2, max_size=3), order=st.lists(st.integers(0, 2)))
def test_however_workers_interleave_counters_are_what_is_stored_and_nothing_is_settled_twice(
    account: Any, workers: list[list[tuple[str, list[int]]]], order: list[int]
) -> None:
    empty_account()
    make_tables(account)
    world = World(account, Gateway())
    world.new_batch(ITEMS, upload=f"uploads/{TENANT}/one")
    world.batches.spread_counters(TENANT, BATCH)
    schedule = Schedule([number for number in order if number < len(workers)])
    first: dict[str, str] = {}
    failures: list[BaseException] = []

    def work(number: int, actions: list[tuple[str, list[int]]]) -> None:
        world = World(Turns(account, number, schedule), Gateway())
        try:
            for name, which in actions:
                answered = ACTIONS[name](world, which)
                if name in ("safe", "unsafe"):
                    for one in answered:
                        # whoever settles an item is told the same verdict ever after
                        assert first.setdefault(one.id, str(one.decision)) == str(one.decision)
        except BaseException as failure:  # noqa: BLE001 - shown below
            failures.append(failure)
        finally:
            schedule.done(number)

    threads = [
        threading.Thread(target=work, args=(number, actions))
        for number, actions in enumerate(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    entries = stored(account).values()
    view = World(account, Gateway()).view()
    verdicts = [entry["decision"] for entry in entries if "verdict" in entry]
    assert view.settled == len(verdicts) == sum(decided(account).values())
    assert view.decisions == {d: verdicts.count(d) for d in view.decisions}
    assert view.dead == sum("dead" in entry for entry in entries)
    assert sorted(first.values()) == sorted(verdicts)
    assert view.pending == ITEMS - view.settled - view.dead
    spent = sum((Decimal("0.00384") for _ in verdicts), Decimal(0))
    record = world.batches.record(TENANT, BATCH)
    assert record.amounts.get("verdict_cost_usd", Decimal(0)) == spent
