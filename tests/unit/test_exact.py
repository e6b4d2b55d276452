"""Exact sums of numbers as they are written."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import permutations

import pytest
from quorum.core.exact import decimal, weighted_mean, weighted_sums, whole_numbers
from quorum.core.models import Decision

SAFE, UNSAFE, REVIEW = Decision.SAFE, Decision.UNSAFE, Decision.NEEDS_REVIEW
Terms = Sequence[tuple[int, float, Decision]]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.1, (1, 10)),
        (-2.5, (-25, 10)),
        (3.0, (30, 10)),
        (1e-7, (1, 10**7)),
        (1.25e22, (125 * 10**20, 1)),
        (0.30000000000000004, (30000000000000004, 10**17)),
    ],
)
def test_a_number_counts_as_it_is_written(number: float, expected: tuple[int, int]) -> None:
    assert decimal(number) == expected


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_what_is_no_finite_number_is_refused(number: float) -> None:
    with pytest.raises(TypeError, match="finite"):
        decimal(number)


def test_several_numbers_get_the_unit_in_which_all_are_whole() -> None:
    found = whole_numbers({"ada": 0.5, "bob": 0.25, "cyd": 3.0})
    assert found == {"ada": 50, "bob": 25, "cyd": 300}
    assert all(isinstance(number, int) for number in found.values())


@pytest.mark.parametrize(
    ("terms", "unsafe", "safe"),
    [
        ([(1, 0.25, UNSAFE)], Fraction(1, 4), 0),
        ([(2, 0.5, UNSAFE), (6, 0.125, SAFE)], Fraction(1, 8), Fraction(3, 32)),
        ([(3, 0.9, REVIEW), (1, 1.0, SAFE)], 0, Fraction(1, 4)),
        (
            [(1, 0.001, UNSAFE), (1, 0.5, UNSAFE), (2, 0.25, SAFE), (1, 0.125, UNSAFE)],
            Fraction(626, 5000),
            Fraction(1, 10),
        ),
        (
            [(1, 0.5, SAFE), (1, 0.125, SAFE), (1, 0.25, UNSAFE)],
            Fraction(1, 12),
            Fraction(5, 24),
        ),
    ],
)
def test_shares_are_exact_in_any_order(terms: Terms, unsafe: Fraction, safe: Fraction) -> None:
    for ordered in permutations(terms):
        of_unsafe, of_safe, whole = weighted_sums(ordered)
        assert (Fraction(of_unsafe, whole), Fraction(of_safe, whole)) == (unsafe, safe)


def test_without_terms_all_sums_are_0() -> None:
    assert weighted_sums([]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("terms", "silent", "mean"),
    [
        ([(1, 0.25)], 0, 0.25),
        ([(1, 0.25)], 3, 0.0625),
        ([(2, 0.5), (6, 0.125)], 0, 0.21875),
        ([(1, 0.1), (1, 0.25), (2, 0.7)], 1, 0.35),
        ([(1, 0.1), (1, 0.2), (1, 0.3)], 0, 0.2),
        (
            [(30, 0.1917441039952995), (92, 0.5), (71, 0.47635320869933495)],
            0,
            0.4433854970855532,
        ),
    ],
)
def test_a_mean_is_exact_in_any_order(
    terms: Sequence[tuple[int, float]], silent: int, mean: float
) -> None:
    assert {weighted_mean(ordered, silent) for ordered in permutations(terms)} == {mean}


def test_a_mean_is_of_its_terms_alone_unless_more_weight_is_said_to_be_silent() -> None:
    assert weighted_mean([(1, 0.25)]) == 0.25
