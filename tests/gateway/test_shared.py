"""Client, limit and circuits together, over one Usage table."""

import asyncio
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.errors import ModelThrottled, ModelUnavailable
from quorum.core.normalise import normalise
from quorum.gateway import breaker
from quorum.gateway.client import Gateway
from quorum.gateway.deadline import Deadline
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.limiter import Limiter
from quorum.vote.voter import PaidVote, ask

from fakes.gateway import Fault

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

GPT = registry.model("gpt-4.1")


def vote(gateway: Gateway, seconds: float = 20) -> PaidVote:
    return loop.run(ask(gateway, GPT, normalise("hello"), Deadline.after(seconds), tenant="acme"))


def _keys(usage: "DynamoDBServiceResource", kind: str) -> list[str]:
    found = [str(item["key"]) for item in usage.Table("Usage").scan()["Items"]]
    return [key for key in found if key.startswith(kind)]


def test_a_vote_is_reserved_and_settled_and_leaves_only_its_bucket(
    stand_in: Any, gateway: Callable[..., Gateway], usage: "DynamoDBServiceResource"
) -> None:
    limiter = Limiter(usage, "Usage")
    circuits = breaker.in_table(usage, "Usage")
    paid_vote = vote(gateway(stand_in(), limiter=limiter, breaker=circuits))
    assert paid_vote.reservation is not None
    assert _keys(usage, "intent#") == [f"intent#{paid_vote.reservation.id}"]
    client: Any = usage.meta.client
    client.transact_write_items(
        TransactItems=limiter.settlement(paid_vote.reservation, paid_vote.vote.tokens)
    )
    assert _keys(usage, "") == ["bucket#gpt-4.1"]


def test_the_circuit_is_read_while_the_place_is_reserved(
    stand_in: Any,
    gateway: Callable[..., Gateway],
    usage: "DynamoDBServiceResource",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = threading.Event()
    circuits = breaker.in_table(usage, "Usage")
    get_state, reserve = circuits.store.get_state, Limiter.reserve

    def got(name: str) -> Any:
        read.set()
        return get_state(name)

    def reserved(*given: Any, **named: Any) -> Any:
        assert read.wait(5)
        return reserve(*given, **named)

    monkeypatch.setattr(circuits.store, "get_state", got)
    monkeypatch.setattr(Limiter, "reserve", reserved)
    assert vote(gateway(stand_in(), limiter=Limiter(usage, "Usage"), breaker=circuits)).vote


def test_a_call_that_is_cancelled_while_its_circuit_is_read_gives_its_place_back(
    stand_in: Any,
    gateway: Callable[..., Gateway],
    usage: "DynamoDBServiceResource",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made, reserve = threading.Event(), Limiter.reserve

    def reserved(*given: Any, **named: Any) -> Any:
        try:
            return reserve(*given, **named)
        finally:
            made.set()

    class Hanging:
        async def look(self, *_: str) -> None:
            await asyncio.sleep(60)

    monkeypatch.setattr(Limiter, "reserve", reserved)
    client = gateway(stand_in(), limiter=Limiter(usage, "Usage"), breaker=Hanging())

    async def cancelled() -> None:
        asking = asyncio.create_task(
            ask(client, GPT, normalise("hello"), Deadline.after(20), tenant="acme")
        )
        await asyncio.to_thread(made.wait, 20)
        await asyncio.sleep(0.1)
        assert len(_keys(usage, "intent#")) == 1  # it is the circuit that is waited for
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    loop.run(cancelled())
    assert _keys(usage, "intent#") == []


def test_what_costs_nothing_leaves_no_intent(
    stand_in: Any, gateway: Callable[..., Gateway], usage: "DynamoDBServiceResource"
) -> None:
    there = stand_in(rates={Fault.UNAVAILABLE: 1.0})
    with pytest.raises(ModelUnavailable):
        vote(gateway(there, limiter=Limiter(usage, "Usage"), max_attempts=2))
    assert _keys(usage, "intent#") == []


def test_the_limit_is_reached_before_the_vendor_says_so(
    stand_in: Any, gateway: Callable[..., Gateway], usage: "DynamoDBServiceResource"
) -> None:
    there = stand_in()
    limits = {"gpt-4.1": RateLimit(requests_per_minute=1)}
    client = gateway(there, limiter=Limiter(usage, "Usage", limits))
    vote(client)
    with pytest.raises(ModelThrottled) as caught:
        vote(client)
    assert 50 < caught.value.retry_after_seconds <= 63
    assert there.count.requests == 1


def test_a_base_url_that_is_down_is_left_alone_by_another_lambda_too(
    stand_in: Any, gateway: Callable[..., Gateway], usage: "DynamoDBServiceResource"
) -> None:
    down, there = stand_in(rates={Fault.UNAVAILABLE: 1.0}), stand_in()
    one = gateway(down, there, breaker=breaker.in_table(usage, "Usage", failures=2))
    for _ in range(3):
        assert vote(one).vote.served_by == there.base_url
    other = gateway(down, there, breaker=breaker.in_table(usage, "Usage", failures=2))
    assert vote(other).vote.served_by == there.base_url
    assert down.count.requests == 2
    assert _keys(usage, "breaker#") == [f"breaker#gpt-4.1#{down.base_url}"]
