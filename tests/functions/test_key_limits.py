"""The limits of a key: requests a minute and a month."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quorum.aws.key_limits import Allowance, KeyLimits
from quorum.core.errors import RateLimited, StoreUnavailable

from tests.clock import Clock
from tests.functions.conftest import Faults
from tests.world import serial

KEY = "ab" * 32
TABLE = "KeyUseTable"
CLIENTS = 20
Take = Callable[..., Allowance | None]


@pytest.fixture
def environment(aws: Any, clock: Clock) -> Callable[[], KeyLimits]:
    """A new Lambda environment, which knows nothing of what others have counted."""
    return lambda: KeyLimits(serial(aws), TABLE, clock=clock)


def admitted(limits: KeyLimits, **given: Any) -> bool:
    try:
        limits.take(KEY, **{"per_minute": None, "per_month": None} | given)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize("per_minute", [1, 7, 60])
def test_a_limit_holds_under_twenty_concurrent_clients(
    environment: Callable[[], KeyLimits], per_minute: int, faults: Faults
) -> None:
    """Each client has an environment of its own, and all begin at the same moment."""
    begin = threading.Barrier(CLIENTS)

    def send(limits: KeyLimits) -> list[bool]:
        begin.wait()
        return [admitted(limits, per_minute=per_minute, per_month=10_000) for _ in range(6)]

    with ThreadPoolExecutor(CLIENTS) as clients:
        sent = [
            one
            for each in clients.map(send, [environment() for _ in range(CLIENTS)])
            for one in each
        ]
    assert Counter(sent) == {True: per_minute, False: 6 * CLIENTS - per_minute}
    # Every client guesses wrong once at most, and one that is refused knows it until time passes.
    assert len(faults.requests["UpdateItem"]) <= per_minute + 2 * CLIENTS


def test_a_monthly_limit_holds_under_twenty_concurrent_clients(
    environment: Callable[[], KeyLimits],
) -> None:
    def send(limits: KeyLimits) -> int:
        return sum(admitted(limits, per_month=33) for _ in range(5))

    with ThreadPoolExecutor(CLIENTS) as clients:
        assert sum(clients.map(send, [environment() for _ in range(CLIENTS)])) == 33


def test_a_request_is_let_in_whenever_its_share_of_the_minute_has_passed(
    environment: Callable[[], KeyLimits], clock: Clock
) -> None:
    limits = environment()
    left = [limits.take(KEY, per_minute=3, per_month=None) for _ in range(3)]
    assert left == [Allowance(3, 2, 20), Allowance(3, 1, 40), Allowance(3, 0, 60)]
    with pytest.raises(RateLimited) as refused:
        limits.take(KEY, per_minute=3, per_month=None)
    assert refused.value.retry_after_seconds == pytest.approx(20.0)
    assert refused.value.limit == 3
    clock.now += 20
    assert limits.take(KEY, per_minute=3, per_month=None) == Allowance(3, 0, 60)
    assert not admitted(limits, per_minute=3)
    clock.now += 600
    assert limits.take(KEY, per_minute=3, per_month=None) == Allowance(3, 2, 20)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 8_000), st.integers(0, 2)), max_size=60),
    per_minute=st.integers(2, 30),
)
def test_no_stretch_of_time_has_more_requests_than_the_limit_allows(
    environment: Callable[[], KeyLimits],
    clock: Clock,
    arrivals: list[tuple[int, int]],
    per_minute: int,
) -> None:
    """`arrivals`: milliseconds since the one before, and which of three environments it meets."""
    clock.now += 3_600
    environments = [environment() for _ in range(3)]
    times = []
    for milliseconds, which in arrivals:
        clock.now += milliseconds / 1_000
        if admitted(environments[which], per_minute=per_minute):
            times.append(clock.now)
    for first, start in enumerate(times):
        for last in range(first, len(times)):
            seconds = times[last] - start
            # The limit at once, its share of the time that passed, and three seconds' credit.
            assert last - first + 1 <= per_minute + (seconds + 3) * per_minute / 60 + 1e-6


def test_one_environment_writes_once_for_a_request_and_not_at_all_for_a_refusal(
    environment: Callable[[], KeyLimits], faults: Faults
) -> None:
    limits = environment()
    for _ in range(5):
        admitted(limits, per_minute=5, per_month=100)
    assert len(faults.requests["UpdateItem"]) == 5
    assert not admitted(limits, per_minute=5, per_month=100)
    assert len(faults.requests["UpdateItem"]) == 5


def test_a_month_ends_at_midnight_utc(
    environment: Callable[[], KeyLimits], clock: Clock, aws: Any
) -> None:
    limits = environment()
    clock.now = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC).timestamp()
    assert limits.take(KEY, per_minute=None, per_month=2) == Allowance(2, 1, 2)
    assert admitted(limits, per_month=2)
    with pytest.raises(RateLimited) as refused:
        limits.take(KEY, per_minute=None, per_month=2)
    assert (refused.value.code, refused.value.retry_after_seconds) == ("monthly_limit_reached", 2)
    clock.now += 2
    assert limits.take(KEY, per_minute=None, per_month=2) == Allowance(2, 1, 31 * 86_400)
    clock.now += 31 * 86_400
    assert admitted(limits, per_month=2)
    (item,) = aws.Table(TABLE).scan()["Items"]
    assert item.keys() == {"key_hash", "requests_2027-01", "requests_2027-02"}


def test_the_limit_that_is_nearer_is_told(environment: Callable[[], KeyLimits]) -> None:
    limits = environment()
    for per_minute, per_month, nearer in ((10, 3, (3, 2)), (2, 1_000, (2, 0))):
        left = limits.take(KEY, per_minute=per_minute, per_month=per_month)
        assert left is not None
        assert (left.limit, left.remaining) == nearer


def test_a_key_with_a_limit_is_not_let_in_while_nothing_can_be_counted(
    environment: Callable[[], KeyLimits], faults: Faults
) -> None:
    faults.fail("UpdateItem")
    with pytest.raises(StoreUnavailable):
        environment().take(KEY, per_minute=5, per_month=None)
    assert environment().take(KEY, per_minute=None, per_month=None) is None
