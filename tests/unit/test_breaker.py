"""Circuits: a base URL that is down is left alone by every Lambda, and tried again later."""

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from quorum.gateway import breaker
from quorum.gateway.breaker import Breaker

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

URL, MODEL = "https://one.example/v1", "gpt-4.1"


@pytest.fixture
def environment(usage: "DynamoDBServiceResource") -> Callable[[], Breaker]:
    """A new Lambda environment's breaker over the same table: 3 failures, 30 seconds' rest."""
    return lambda: breaker.in_table(usage, "Usage", failures=3, cool_down_seconds=30)


class Later:
    """The breaker's own clock, some seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __call__(self) -> float:
        return time.time() + self._seconds


def _allows(one: Breaker, model: str = MODEL) -> bool:
    return asyncio.run(one.allows(URL, model))


def _report(one: Breaker, *, well: bool, times: int = 1) -> None:
    for _ in range(times):
        asyncio.run(one.report(URL, MODEL, well=well))


def test_failures_in_a_row_open_the_circuit_for_every_lambda(
    environment: Callable[[], Breaker],
) -> None:
    one = environment()
    _report(one, well=False, times=3)
    assert not _allows(one)
    assert not _allows(environment())


def test_a_success_between_failures_keeps_it_closed(environment: Callable[[], Breaker]) -> None:
    one = environment()
    for well in (False, False, True, False, False):
        _report(one, well=well)
    assert _allows(one)


def test_the_failures_of_one_call_count_once(environment: Callable[[], Breaker]) -> None:
    one = environment()
    for again in (False, True, True, True):
        asyncio.run(one.report(URL, MODEL, well=False, again=again))
    assert _allows(one)
    _report(one, well=False, times=2)
    assert not _allows(one)


def test_a_trial_that_fails_again_opens_it_all_the_same(
    environment: Callable[[], Breaker],
) -> None:
    one = environment()
    _report(one, well=False, times=3)
    one.clock = Later(31)
    assert _allows(one)
    asyncio.run(one.report(URL, MODEL, well=False, again=True))
    assert not _allows(one)


def test_a_circuit_is_one_models_at_one_base_url(environment: Callable[[], Breaker]) -> None:
    one = environment()
    _report(one, well=False, times=3)
    assert _allows(one, "deepseek-v3.2")
    assert asyncio.run(one.allows("https://two.example/v1", MODEL))


def test_after_a_rest_one_lambda_alone_tries_again(environment: Callable[[], Breaker]) -> None:
    one, other = environment(), environment()
    _report(one, well=False, times=3)
    one.clock = other.clock = Later(31)
    assert [_allows(one), _allows(one), _allows(other)] == [True, False, False]


def test_a_trial_that_succeeds_closes_it_for_all(environment: Callable[[], Breaker]) -> None:
    one = environment()
    _report(one, well=False, times=3)
    one.clock = Later(31)
    assert _allows(one)
    _report(one, well=True)
    assert _allows(one)
    assert _allows(environment())


def test_a_trial_that_fails_opens_it_again(environment: Callable[[], Breaker]) -> None:
    one = environment()
    _report(one, well=False, times=3)
    one.clock = Later(31)
    assert _allows(one)
    _report(one, well=False)
    assert not _allows(one)
    one.clock = Later(70)
    assert _allows(one)


def test_a_healthy_call_neither_writes_nor_reads_most_of_the_time(
    environment: Callable[[], Breaker],
) -> None:
    asked: list[str] = []
    one = environment()
    store: Any = one.store
    store.client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: asked.append(model.name)
    )
    for _ in range(20):
        assert _allows(one)
        _report(one, well=True)
    assert asked == ["GetItem"]


def test_without_its_table_the_circuit_counts_as_closed(usage: "DynamoDBServiceResource") -> None:
    one = breaker.in_table(usage, "NoSuchTable", failures=1)
    _report(one, well=False)
    assert _allows(one)
