"""The client and the shared limit: calls wait, settle what they paid and return the rest."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import (
    GatewayRejected,
    ModelThrottled,
    ReplyUnreadable,
    StoreUnavailable,
    VoteUnavailable,
)
from quorum.core.models import Reservation
from quorum.core.normalise import normalise
from quorum.gateway.client import Gateway
from quorum.gateway.deadline import Deadline
from quorum.vote.voter import EXPECTED_OUTPUT_TOKENS, PaidVote, ask

from fakes.gateway import Fault, ModelScenario

GPT = registry.model("gpt-4.1")
GatewayOf = Callable[..., Gateway]


class Places:
    """A limiter that remembers what it was asked, and makes everyone wait as told."""

    def __init__(self, wait_seconds: float = 0.0, overtaken: Sequence[float] = ()) -> None:
        self.wait_seconds = wait_seconds
        self.overtaken = list(overtaken)
        self.asked: list[dict[str, Any]] = []
        self.released: list[Reservation] = []

    def reserve(self, model: str, tokens: int, **asked: Any) -> Reservation:
        self.asked.append({"model": model, "tokens": tokens} | asked)
        if self.wait_seconds > asked["patience_seconds"]:
            raise ModelThrottled("full", retry_after_seconds=self.wait_seconds)
        number = str(len(self.asked))
        return Reservation(number, model, asked["tenant"], tokens, self.wait_seconds)

    def moved_back(self, reservation: Reservation) -> Reservation:
        return replace(reservation, wait_seconds=self.overtaken.pop() if self.overtaken else 0.0)

    def release(self, reservation: Reservation) -> None:
        self.released.append(reservation)


def vote(gateway: Gateway, seconds: float = 30) -> PaidVote:
    return loop.run(ask(gateway, GPT, normalise("hello"), Deadline.after(seconds), tenant="acme"))


def test_a_place_is_reserved_before_the_call_and_goes_with_the_vote(
    stand_in: Any, gateway: GatewayOf
) -> None:
    positions = Places()
    paid_vote = vote(gateway(stand_in(), limiter=positions))
    (asked,) = positions.asked
    assert paid_vote.reservation == Reservation("1", "gpt-4.1", "acme", asked["tokens"], 0.0)
    # an estimate on the careful side of what it came to
    assert paid_vote.vote.tokens.input < asked["tokens"] - EXPECTED_OUTPUT_TOKENS
    assert asked["tokens"] < 1.6 * paid_vote.vote.tokens.total
    assert paid_vote.vote.cost_usd < asked["cost_usd"] < Decimal("0.01")
    assert positions.released == []


def test_a_caller_waits_for_its_place_within_its_deadline(
    stand_in: Any, gateway: GatewayOf
) -> None:
    paid_vote = vote(gateway(stand_in(), limiter=Places(wait_seconds=0.2)))
    assert paid_vote.vote.latency_ms >= 200


def test_a_caller_that_is_overtaken_waits_as_much_longer(stand_in: Any, gateway: GatewayOf) -> None:
    overtaken = Places(wait_seconds=0.1, overtaken=[0.1, 0.1])
    paid_vote = vote(gateway(stand_in(), limiter=overtaken))
    assert paid_vote.vote.latency_ms >= 300
    assert overtaken.released == []


def test_a_caller_overtaken_beyond_its_deadline_gives_its_place_back(
    stand_in: Any, gateway: GatewayOf
) -> None:
    there, overtaken = stand_in(), Places(wait_seconds=0.1, overtaken=[60])
    with pytest.raises(ModelThrottled) as caught:
        vote(gateway(there, limiter=overtaken), seconds=10)
    assert caught.value.retry_after_seconds == 60
    assert [one.id for one in overtaken.released] == ["1"]
    assert there.count.requests == 0


def test_a_place_that_comes_too_late_is_not_taken(stand_in: Any, gateway: GatewayOf) -> None:
    there, positions = stand_in(), Places(wait_seconds=60)
    with pytest.raises(ModelThrottled) as caught:
        vote(gateway(there, limiter=positions), seconds=10)
    assert caught.value.retry_after_seconds == 60
    assert caught.value.reservation is None
    assert there.count.requests == 0


def test_what_was_not_paid_gives_its_place_back(stand_in: Any, gateway: GatewayOf) -> None:
    positions = Places()
    there = stand_in(rates={Fault.UNAVAILABLE: 1.0})
    with pytest.raises(VoteUnavailable) as caught:
        vote(gateway(there, limiter=positions, max_attempts=2))
    assert [one.id for one in positions.released] == ["1"]
    assert caught.value.reservation is None


def test_a_place_that_cannot_be_given_back_does_not_hide_why_the_call_failed(
    stand_in: Any, gateway: GatewayOf
) -> None:
    class Stuck(Places):
        def release(self, reservation: Reservation) -> None:
            raise StoreUnavailable(reservation.id)

    there = stand_in(keys={"another": "tenant"})
    with pytest.raises(GatewayRejected):
        vote(gateway(there, limiter=Stuck()))


@pytest.mark.parametrize("fault", [Fault.MALFORMED, Fault.CUT])
def test_what_was_paid_in_vain_keeps_its_place_to_be_settled(
    stand_in: Any, gateway: GatewayOf, fault: Fault
) -> None:
    positions = Places()
    with pytest.raises(VoteUnavailable) as caught:
        vote(gateway(stand_in(fault), limiter=positions, max_attempts=1))
    assert caught.value.reservation is not None
    assert caught.value.reservation.id == "1"
    assert positions.released == []
    if fault is Fault.MALFORMED:
        assert isinstance(caught.value, ReplyUnreadable)


def test_the_stand_in_holds_its_own_limit(stand_in: Any, gateway: GatewayOf) -> None:
    there = stand_in(models={"gpt-4.1": ModelScenario(requests_per_minute=2)})
    client = gateway(there)
    vote(client)
    vote(client)
    with pytest.raises(ModelThrottled) as caught:
        vote(client, seconds=2)
    assert 50 < caught.value.retry_after_seconds <= 60
    assert there.count.faults["limit"] == 1
