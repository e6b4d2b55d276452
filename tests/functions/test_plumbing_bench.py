"""The benchmarks of Quorum's own time and of growth run, and what they compute is right."""

import pytest

from bench import growth, plumbing
from bench.stand_in import apart


def test_the_handlers_are_measured_on_aws_in_memory() -> None:
    with apart() as base_url:
        voted = plumbing.vote_in_handler(base_url, 0.0, 2)
    assert 0 < voted["p50_ms"] <= voted["p99_ms"]
    assert plumbing.cached_verdict(2)["p50_ms"] > 0


def test_verdicts_and_voters_are_counted_for_every_size() -> None:
    found = plumbing.tallies(10)
    assert len(found) == 2 * len(plumbing.SIZES)
    assert all(number > 0 for one in found.values() for number in one.values())


def test_growth_is_measured_for_everything_that_can_grow() -> None:
    figures = growth.measure(growth.QUICK)
    assert {name for name, one in figures["by"].items() if one["sizes"]} == {
        "votes",
        "characters",
        "list entries",
        "batch",
        "upload",
        "reviewers' queue",
    }
    batch = figures["by"]["batch"]["measures"]
    assert batch["dollars"]["exponent"] == 1.0
    assert batch["write units"]["values"][1] > batch["write units"]["values"][0] > 0


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_is_that_of_the_power(power: float) -> None:
    sizes = (10, 100, 1_000, 10_000)
    assert growth.exponent(sizes, [3 * size**power for size in sizes]) == power


def test_an_exponent_needs_two_sizes_and_something_to_measure() -> None:
    assert growth.exponent((10,), (1.0,)) is None
    assert growth.exponent((10, 100), (0.0, 1.0)) is None


def test_what_grows_faster_than_linearly_is_named() -> None:
    squares = growth.grown("items", (1, 10), lambda size: {"ms": float(size**2), "usd": size})
    assert growth.too_fast({"by": {"squares": squares}}) == ["squares: ms"]


def test_of_a_large_batch_items_are_judged_that_are_spread_over_it() -> None:
    assert growth.spread(100, 3) == [0, 50, 99]
    assert growth.spread(2, 5) == [0, 1]
    assert growth.spread(1, 4) == [0]
