"""The benchmark of the gateway client runs, and tells a client that is too slow."""

import asyncio

import pytest

from bench import gateway_client, page
from bench.stand_in import apart

CALLS = 2


def test_all_three_ways_are_measured_in_turns_and_shown() -> None:
    with apart() as base_url:
        client = gateway_client.summed(asyncio.run(gateway_client.measure(base_url, CALLS)))
    assert set(client) == set(page.CLIENTS)
    assert all(0 < one["p50_ms"] <= one["p99_ms"] for one in client.values())


@pytest.mark.parametrize(
    ("ours", "sdk", "fast"), [(1.9, 2.5, True), (2.1, 2.5, False), (1.5, 1.4, False)]
)
def test_a_client_that_adds_a_millisecond_or_more_than_the_sdk_is_too_slow(
    ours: float, sdk: float, *, fast: bool
) -> None:
    medians = {"bare httpx": 1.0, "quorum.gateway": ours, "openai SDK": sdk}
    client = {name: {"p50_ms": ms} for name, ms in medians.items()}
    assert gateway_client.fast_enough(client) is fast
