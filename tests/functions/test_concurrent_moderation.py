"""Several contents of one request: at the same time, under one deadline, and none is lost."""

import threading
import time
from typing import Any

import pytest
from quorum.bulk import concurrent
from quorum.bulk.concurrent import ConcurrentModeration
from quorum.core.errors import WorkflowNotStarted
from quorum.core.models import Content, Decision, Verdict
from quorum.gateway.deadline import Deadline
from quorum.vote import panel, workflow
from quorum.vote.policy import DEFAULT

from tests.world import TENANT, Gateway, World, booked, decided


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def world(aws: Any, gateway: Gateway) -> World:
    return World(aws, gateway)


class Machine:
    """A vote machine that counts its executions, and does with some texts what a test says."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind
        self._lock = threading.Lock()
        self._running = 0
        self.most = 0
        self.hangs = threading.Event()
        self.hanging = ""
        self.broken = ""
        self.seconds = 0.0

    def start_sync_execution(self, **given: Any) -> Any:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            time.sleep(self.seconds)
            if self.broken and self.broken in given["input"]:
                raise WorkflowNotStarted("the vote machine could not be started: Throttling")
            if self.hanging and self.hanging in given["input"]:
                self.hangs.wait(10)
            return self._behind.start_sync_execution(**given)
        finally:
            with self._lock:
                self._running -= 1


@pytest.fixture
def machine(world: World, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(workflow, "START_PAUSE_SECONDS", 0.001)
    found: Any = Machine(world.app.step_functions)
    world.app.step_functions = found
    vars(world.app).pop("workflow")  # opened with the machine of before
    yield found
    found.hangs.set()


def moderate(
    world: World, *texts: str, seconds: float = 30.0, at_once: int = 4, **how: Any
) -> list[Verdict]:
    moderation = ConcurrentModeration(world.app.workflow, at_once=at_once, **how)
    contents = [Content(text=text, language="en") for text in texts]
    deadline = Deadline.after(seconds)
    return moderation.moderate_all(TENANT, contents, panel.packaged("default"), DEFAULT, deadline)


def test_verdicts_come_in_order_are_stored_and_booked_once(
    world: World, gateway: Gateway, machine: Machine, aws: Any
) -> None:
    gateway.says |= {"bad": Decision.UNSAFE, "worse": Decision.UNSAFE}
    verdicts = moderate(world, "good", "bad", "fine", "worse", "kind")
    assert [one.decision for one in verdicts] == ["safe", "unsafe", "safe", "unsafe", "safe"]
    assert [world.verdicts.get(TENANT, one.id) for one in verdicts] == verdicts
    assert sum(one.cost_usd for one in verdicts) == gateway.billed == booked(aws)
    assert decided(aws) == {"safe": 3, "unsafe": 2, "needs_review": 0}


def test_near_identical_contents_are_asked_about_once_and_share_a_verdict(
    world: World, gateway: Gateway, machine: Machine, aws: Any
) -> None:
    spam, ham, again = moderate(world, "spam", "ham", " spam\u200b ")
    assert spam == again != ham
    assert set(gateway.calls.values()) == {1}
    assert sum(decided(aws).values()) == 2


def test_no_more_are_judged_at_once_than_may_be(world: World, machine: Machine) -> None:
    machine.seconds = 0.05
    moderate(world, *(f"text {number}" for number in range(9)), at_once=3)
    assert machine.most == 3


def test_one_that_does_not_finish_in_time_is_left_to_a_person_and_can_be_read(
    world: World, machine: Machine, aws: Any
) -> None:
    machine.hanging = "slow"
    fast, slow = moderate(world, "fast", "slow", seconds=concurrent.STORING_SECONDS + 1)
    assert (fast.decision, slow.decision) == ("safe", "needs_review")
    assert {vote.detail for vote in slow.votes} == {concurrent.NOT_IN_TIME}  # type: ignore[union-attr] # abstentions
    assert world.verdicts.get(TENANT, slow.id) == slow
    machine.hangs.set()  # what the machine says afterwards changes no verdict
    time.sleep(0.5)
    assert world.verdicts.get(TENANT, slow.id) == slow
    assert sum(decided(aws).values()) == 2


def test_those_whose_turn_comes_after_the_deadline_are_left_to_a_person(
    world: World, gateway: Gateway, machine: Machine
) -> None:
    begun = time.time()
    times = iter([begun] * 2)  # the third finds that the time is over
    verdicts = moderate(
        world, "one", "two", "three", at_once=1, clock=lambda: next(times, begun + 3600)
    )
    assert [one.decision for one in verdicts] == ["safe", "safe", "needs_review"]
    assert {vote.detail for vote in verdicts[2].votes} == {concurrent.NO_TIME}  # type: ignore[union-attr] # abstentions
    assert "three" not in {text for _, text in gateway.calls}


def test_one_that_could_not_be_started_leaves_the_others_their_verdicts(
    world: World, machine: Machine
) -> None:
    machine.broken = "unlucky"
    lucky, unlucky = moderate(world, "lucky one", "unlucky")
    assert (lucky.decision, unlucky.decision) == ("safe", "needs_review")
    assert "could not be started" in str(unlucky.votes[0])


def test_where_none_could_be_started_there_is_no_verdict_that_stays(
    world: World, machine: Machine, aws: Any
) -> None:
    machine.broken = "text"
    with pytest.raises(WorkflowNotStarted):
        moderate(world, "text one", "text two")
    assert sum(decided(aws).values()) == 0
