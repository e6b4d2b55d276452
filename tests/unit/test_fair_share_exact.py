"""Places in a limit to the microsecond, and what is booked for them."""

import math
from dataclasses import replace
from typing import Any

import pytest
from quorum.gateway.fair_share import (
    SHARD_REQUESTS,
    SHARD_TOKENS,
    Bucket,
    Line,
    RateLimit,
    State,
    fair_share,
)

SECOND = 1_000_000
NOW = 1_800_000_000 * SECOND
LINE = Line(RateLimit(requests_per_minute=500, tokens_per_minute=100_000))
"""A request takes 125 ms of it, a token 625 µs. 5 requests or 1,000 tokens are the line's burst; 15
or 3,000 are reserved for those who may overtake."""
REQUEST, TOKEN = 125_000, 625
FADING = 10 * SECOND
HEAVY = {"acme": FADING}
"""acme has used all there is; nobody else has used any."""


def use(time: int, wait: int = 0) -> float:
    """What a call adds to its tenant's use, by the time it takes of the model."""
    return time * math.exp((wait + time) / FADING)


@pytest.mark.parametrize(
    ("requests", "tokens", "seconds"),
    [
        (0, 0, 0.0),
        (20, 4_000, 0.0),  # the bursts
        (500, 0, 60.0),
        (0, 100_000, 60.0),
        (260, 100_000, 60.0),
        (500, 52_000, 60.0),
        (1_000, 0, 122.5),
        (21, 0, 0.125),
    ],
)
def test_so_much_is_admitted_after_so_long(requests: int, tokens: int, seconds: float) -> None:
    limit = RateLimit(requests_per_minute=500, tokens_per_minute=100_000)
    assert limit.seconds(requests=requests, tokens=tokens) == pytest.approx(seconds)
    assert RateLimit(requests_per_minute=1, tokens_per_minute=1).seconds() == 0.0


@pytest.mark.parametrize(
    ("per_minute", "rate", "burst", "reserved"),
    [
        (1, 0.96, 1, 0),
        (2, 1.92, 1, 0),
        (3, 1.99, 1, 1),
        (10, 8.99, 1, 1),
        (100, 96, 1, 3),
        (500, 480, 5, 15),
        (100_000, 96_000, 1_000, 3_000),
    ],
)
def test_a_buckets_rate_and_its_two_bursts_are_its_limit(
    per_minute: int, rate: float, burst: float, reserved: float
) -> None:
    bucket = Bucket.of(per_minute)
    assert (60 * SECOND / bucket.unit, bucket.burst, bucket.reserved) == pytest.approx(
        (rate, burst, reserved)
    )
    assert rate + burst + reserved <= per_minute + 1


def test_a_bucket_admits_a_burst_at_once_and_charges_all_of_it() -> None:
    bucket = Bucket(unit=100.4, burst=10, reserved=30)
    assert bucket.charge(3) == 301
    assert bucket.opens_at(5_000, 10) == 5_000
    assert bucket.opens_at(5_000, 11) == 5_000
    assert bucket.opens_at(5_000, 4) == 4_398
    # Of the reserved 30, the part that must be left; 15 or more wait no longer than 15.
    assert bucket.overtakes_at(5_000, 10, 0.0) == 2_992
    assert bucket.overtakes_at(5_000, 15, 0.0) == 3_494
    assert bucket.overtakes_at(5_000, 16, 0.0) == 3_494
    assert bucket.overtakes_at(5_000, 10, 0.5) == 4_498
    assert bucket.overtaking_charge(30) == 3_012
    assert bucket.overtaking_charge(31) == 3_012
    assert bucket.overtaking_charge(3) == 301
    assert Bucket(unit=100, burst=1, reserved=1).overtakes_at(5_000, 3, 0.0) == 5_000


def test_the_first_call_is_sent_at_once_and_booked_in_both_limits() -> None:
    place = LINE.next_place(State(), "acme", 400, NOW)
    assert (place.starts_at, place.overtakes) == (NOW, False)
    assert place.state == State(
        requests_paid_off_at=NOW + REQUEST,
        tokens_paid_off_at=NOW + 400 * TOKEN,
        used_at=NOW,
        used={"acme": round(use(400 * TOKEN))},
    )


def test_a_call_of_few_tokens_takes_the_time_of_a_request() -> None:
    place = LINE.next_place(State(), "acme", 20, NOW)
    assert place.state.tokens_paid_off_at == NOW + 20 * TOKEN
    assert place.state.used == {"acme": round(use(REQUEST))}


@pytest.mark.parametrize(
    ("state", "tokens", "wait"),
    [
        (State(requests_paid_off_at=NOW + 10 * SECOND), 400, 10 * SECOND - 4 * REQUEST),
        (State(tokens_paid_off_at=NOW + 10 * SECOND), 400, 10 * SECOND - 600 * TOKEN),
        (State(tokens_paid_off_at=NOW + 10 * SECOND), 1_000, 10 * SECOND),
        (State(tokens_paid_off_at=NOW + 10 * SECOND), 50_000, 10 * SECOND),
    ],
)
def test_a_heavy_tenants_call_waits_in_the_line_for_the_limit_that_is_spent(
    state: State, tokens: int, wait: int
) -> None:
    state = replace(state, used_at=NOW, used=HEAVY, overtaken=7)
    place = LINE.next_place(state, "acme", tokens, NOW)
    starts_at, time = NOW + wait, max(REQUEST, tokens * TOKEN)
    assert (place.starts_at, place.overtakes) == (starts_at, False)
    assert place.state == State(
        requests_paid_off_at=max(state.requests_paid_off_at, starts_at) + REQUEST,
        tokens_paid_off_at=max(state.tokens_paid_off_at, starts_at) + tokens * TOKEN,
        used_at=NOW,
        used={"acme": round(FADING + use(time, wait))},
        overtaken=7,
    )


BUSY = State(
    requests_paid_off_at=NOW + 10 * SECOND,
    tokens_paid_off_at=NOW + 20 * SECOND,
    used_at=NOW,
    used={"acme": 2 * FADING},
    overtaken=7,
)
"""A line that acme has filled."""


def test_a_light_tenants_call_overtakes_and_moves_the_line_back_by_its_time() -> None:
    place = LINE.next_place(BUSY, "bolt", 400, NOW)
    assert (place.starts_at, place.overtakes) == (NOW, True)
    assert place.state == State(
        requests_paid_off_at=NOW + 10 * SECOND + REQUEST,
        tokens_paid_off_at=NOW + 20 * SECOND + 400 * TOKEN,
        reserved_requests_paid_off_at=NOW + REQUEST,
        reserved_tokens_paid_off_at=NOW + 400 * TOKEN,
        overtaken=7 + 400 * TOKEN,
        used_at=NOW,
        used={"acme": 2 * FADING, "bolt": round(use(400 * TOKEN))},
    )
    again = LINE.next_place(place.state, "bolt", 20, NOW).state
    assert again.reserved_requests_paid_off_at == NOW + 2 * REQUEST
    assert again.reserved_tokens_paid_off_at == NOW + 420 * TOKEN
    assert again.overtaken == 7 + 400 * TOKEN + REQUEST


def test_a_long_call_overtakes_alone_and_is_charged_what_is_reserved() -> None:
    place = LINE.next_place(BUSY, "bolt", 8_000, NOW)
    assert (place.starts_at, place.overtakes) == (NOW, True)
    assert place.state.reserved_tokens_paid_off_at == NOW + 3_000 * TOKEN
    assert place.state.long_paid_off_at == NOW + 8_000 * TOKEN
    assert place.state.overtaken == 7 + 8_000 * TOKEN
    # The next long one waits until it is paid off; others do not.
    cool = replace(place.state, reserved_tokens_paid_off_at=NOW)
    assert not LINE.next_place(cool, "cyan", 3_001, NOW).overtakes
    ordinary = LINE.next_place(cool, "cyan", 3_000, NOW)
    assert ordinary.overtakes
    assert ordinary.state.long_paid_off_at == place.state.long_paid_off_at
    later = replace(cool, long_paid_off_at=NOW)
    assert LINE.next_place(later, "cyan", 3_001, NOW).overtakes
    # Nor does a long one wait for what is reserved, however soon that would be.
    soon = replace(later, reserved_requests_paid_off_at=NOW + 14 * REQUEST + 1)
    assert not LINE.next_place(soon, "cyan", 3_001, NOW).overtakes
    assert LINE.next_place(soon, "cyan", 400, NOW).starts_at == NOW + 1


@pytest.mark.parametrize(
    ("reserved", "tokens", "wait"),
    [
        ({"reserved_requests_paid_off_at": NOW + 14 * REQUEST}, 400, 0),
        ({"reserved_requests_paid_off_at": NOW + 14 * REQUEST + SECOND}, 400, SECOND),
        ({"reserved_requests_paid_off_at": NOW + 14 * REQUEST + SECOND + 1}, 400, None),
        ({"reserved_tokens_paid_off_at": NOW + 2_600 * TOKEN}, 400, 0),
        ({"reserved_tokens_paid_off_at": NOW + 2_600 * TOKEN + SECOND}, 400, SECOND),
        ({"reserved_tokens_paid_off_at": NOW + 2_600 * TOKEN + SECOND + 1}, 400, None),
        ({"reserved_tokens_paid_off_at": NOW + 1_500 * TOKEN + SECOND}, 2_500, SECOND),
    ],
)
def test_a_call_overtakes_within_a_second_or_stands_in_the_line(
    reserved: dict[str, Any], tokens: int, wait: int | None
) -> None:
    busy = replace(BUSY, **reserved)
    place = LINE.next_place(busy, "bolt", tokens, NOW)
    in_line = NOW + 20 * SECOND - max(0, 1_000 - tokens) * TOKEN
    assert place.overtakes is (wait is not None)
    assert place.starts_at == (in_line if wait is None else NOW + wait)
    if wait is not None:
        charged = place.state.reserved_requests_paid_off_at
        assert charged == max(busy.reserved_requests_paid_off_at, NOW + wait) + REQUEST
        charged = place.state.reserved_tokens_paid_off_at
        assert charged == max(busy.reserved_tokens_paid_off_at, NOW + wait) + tokens * TOKEN
        assert place.state.used["bolt"] == round(use(tokens * TOKEN, wait))


def test_the_nearer_a_tenant_is_to_its_share_the_more_it_leaves_to_others() -> None:
    # acme takes more than half, so the share of bolt is half: a quarter is half of it.
    for used, left in ((FADING // 4, 0.5), (FADING // 8, 0.25)):
        reserved = NOW + round((15 * (1 - left) - 1) * REQUEST) + 3
        busy = replace(
            BUSY,
            reserved_requests_paid_off_at=reserved,
            used={"acme": 2 * FADING, "bolt": used},
        )
        assert LINE.next_place(busy, "bolt", 400, NOW).starts_at == NOW + 3
    spent = replace(BUSY, used={"acme": 2 * FADING, "bolt": FADING // 2})
    assert not LINE.next_place(spent, "bolt", 400, NOW).overtakes
    nearly = replace(BUSY, used={"acme": 2 * FADING, "bolt": FADING // 2 - 1})
    assert LINE.next_place(nearly, "bolt", 400, NOW).overtakes


def test_nobody_overtakes_where_nothing_is_reserved_or_the_line_is_as_soon() -> None:
    few = Line(RateLimit(requests_per_minute=2, tokens_per_minute=100_000))
    assert not few.next_place(BUSY, "bolt", 400, NOW).overtakes
    free = replace(BUSY, requests_paid_off_at=NOW, tokens_paid_off_at=NOW)
    place = LINE.next_place(free, "bolt", 400, NOW)
    assert (place.starts_at, place.overtakes) == (NOW, False)
    assert (place.state.overtaken, place.state.reserved_requests_paid_off_at) == (7, 0)
    # The line is sooner than what is reserved.
    slow = replace(free, reserved_requests_paid_off_at=NOW + 14 * REQUEST + 9)
    place = LINE.next_place(slow, "bolt", 400, NOW)
    assert (place.starts_at, place.overtakes) == (NOW, False)


def test_use_fades_and_is_forgotten_but_not_before_its_time() -> None:
    used = {"acme": FADING, "bolt": 20_000, "cyan": 20_001}
    state = State(used_at=NOW, used=used)
    assert LINE.next_place(state, "dune", 20, NOW).state.used.keys() == {"acme", "cyan", "dune"}
    later = LINE.next_place(state, "dune", 20, NOW + FADING).state
    assert later.used == {"acme": round(FADING / math.e), "dune": round(use(REQUEST))}
    assert state.use_at(NOW - 5 * SECOND) == used  # a slow clock makes it no larger


def test_use_to_come_is_kept_from_fading_for_at_most_ten_fading_times() -> None:
    state = State(tokens_paid_off_at=NOW + 300 * SECOND, used_at=NOW, used=HEAVY)
    place = LINE.next_place(state, "acme", 1_000, NOW)
    assert place.starts_at == NOW + 300 * SECOND
    assert place.state.used["acme"] == round(FADING + 1_000 * TOKEN * math.exp(10))


def test_a_state_of_a_fast_clock_is_moved_back_by_what_it_is_ahead() -> None:
    ahead = 2 * SECOND + 1
    state = State(
        requests_paid_off_at=NOW + 9,
        tokens_paid_off_at=NOW + 8,
        reserved_tokens_paid_off_at=NOW + 7,
        long_paid_off_at=NOW + 6,
        overtaken=5,
        used_at=NOW + ahead,
        used=HEAVY,
    )
    assert state.read_at(NOW) == State(
        requests_paid_off_at=NOW + 9 - ahead,
        tokens_paid_off_at=NOW + 8 - ahead,
        reserved_requests_paid_off_at=0,  # nothing was booked there
        reserved_tokens_paid_off_at=NOW + 7 - ahead,
        long_paid_off_at=NOW + 6 - ahead,
        overtaken=5,
        used_at=NOW,
        used=HEAVY,
    )
    assert state.read_at(NOW + 1) is state
    assert state.read_at(NOW + 60 * SECOND) is state


@pytest.mark.parametrize(
    ("use", "share"),
    [
        ({}, 1.0),
        ({"acme": 5.0}, 1.0),
        ({"bolt": 0.0}, 1.0),
        ({"bolt": 0.25}, 0.75),
        ({"bolt": 0.5}, 0.5),
        ({"bolt": 5.0}, 0.5),
        ({"bolt": 5.0, "cyan": 0.25}, 0.375),
        ({"cyan": 0.25, "bolt": 0.3, "dune": 0.1}, 0.35),
        ({"bolt": 0.4, "cyan": 0.4, "dune": 0.4, "acme": 0.4}, 0.25),
    ],
)
def test_a_fair_share_is_what_the_light_ones_leave_divided_by_the_others(
    use: dict[str, float], share: float
) -> None:
    assert fair_share(use, "acme") == pytest.approx(share)


def test_the_parts_of_a_limit_are_whole_numbers_and_together_no_more_than_it() -> None:
    limit = RateLimit(
        requests_per_minute=3 * SHARD_REQUESTS + 2, tokens_per_minute=4 * SHARD_TOKENS + 2
    )
    assert limit.shards == 3
    part = limit.of_shard()
    assert part.requests_per_minute == SHARD_REQUESTS
    assert part.tokens_per_minute == (4 * SHARD_TOKENS + 2) // 3
