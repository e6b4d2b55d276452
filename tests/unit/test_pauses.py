"""The pauses between tries: they grow, they outlast an outage of two hours, and they end."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.batch.pauses import (
    FAULT_TRIES,
    FIRST_SECONDS,
    LONGEST_SECONDS,
    TRIES,
    pause_after,
    total_seconds,
)


def test_pauses_double_from_half_a_minute_to_a_quarter_of_an_hour() -> None:
    assert [pause_after(tries) for tries in range(1, 8)] == [30, 60, 120, 240, 480, 900, 900]


def test_all_tries_together_outlast_two_hours_and_those_after_a_fault_a_few_minutes() -> None:
    assert total_seconds(TRIES) >= 2 * 3_600
    assert 60 <= total_seconds(FAULT_TRIES) <= 900


def test_no_pause_is_shorter_than_the_one_before() -> None:
    pauses = [pause_after(tries) for tries in range(1, 2_000)]
    assert all(before <= after for before, after in pairwise(pauses))
    assert (pauses[0], pauses[-1]) == (FIRST_SECONDS, LONGEST_SECONDS)


@pytest.mark.parametrize(
    ("tries", "named", "seconds"),
    [
        (1, 7.0, 7),  # throttled: most of them may go on at once when their time has come
        (2, 7.0, 60),  # it had come, and was of no use
        (1, 300.0, 300),
        (2, 300.0, 300),
        (5, 300.0, 480),
        (1, 86_400.0, 900),
        (9, 86_400.0, 900),
    ],
)
def test_the_time_that_a_failure_names_is_waited_for_within_the_longest_pause(
    tries: int, named: float, seconds: float
) -> None:
    assert pause_after(tries, named) == seconds


@given(st.integers(0, 10**6), st.none() | st.floats(0, 10**9))
def test_a_pause_is_never_longer_than_the_longest(tries: int, named: float | None) -> None:
    assert 0 <= pause_after(tries, named) <= LONGEST_SECONDS
