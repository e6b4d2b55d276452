"""Exact sums of decimal numbers: no order of adding changes a result. Pure.

A number counts as it is written: 0.1 is one tenth, not a binary fraction near it. Sums are whole
numbers of a small unit, which take a fraction of the time of `fractions.Fraction`.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import lru_cache

from quorum.core.models import Decision

_REMEMBERED = 4_096
"""Numbers whose exact value is remembered: weights, thresholds, and confidences of few digits."""

# A name of the module is found ten times as fast as a member of an enumeration (Python 3.11).
_UNSAFE, _REVIEW = Decision.UNSAFE, Decision.NEEDS_REVIEW


@lru_cache(maxsize=_REMEMBERED)
def decimal(number: float) -> tuple[int, int]:
    """Numerator and denominator of the number as it is written; the latter is a power of ten."""
    sign, digits, exponent = Decimal(repr(number)).as_tuple()
    if not isinstance(exponent, int):
        raise TypeError("only a finite number can be added exactly")
    integer = int("".join(map(str, digits))) * (-1 if sign else 1)
    return integer * 10 ** max(0, exponent), 10 ** max(0, -exponent)


def whole_numbers(numbers: Mapping[str, float]) -> dict[str, int]:
    """The numbers (at least one) in a unit in which all are whole: a power of ten of one."""
    exact = {name: decimal(number) for name, number in numbers.items()}
    unit = max(denominator for _, denominator in exact.values())
    return {
        name: numerator * (unit // denominator) for name, (numerator, denominator) in exact.items()
    }


def weighted_sums(terms: Iterable[tuple[int, float, Decision]]) -> tuple[int, int, int]:
    """The sums of weight × share over the terms for unsafe, for safe, and of all weights.

    They are in one unit, so their ratios are exact. A term for review has its weight only.
    """
    unsafe = safe = whole = 0
    parts_of_one = 1
    for weight, share, side in terms:
        whole += weight
        if side is _REVIEW:
            continue
        numerator, denominator = decimal(share)
        if denominator > parts_of_one:
            finer, parts_of_one = denominator // parts_of_one, denominator
            unsafe, safe = unsafe * finer, safe * finer
        part = weight * numerator * (parts_of_one // denominator)
        if side is _UNSAFE:
            unsafe += part
        else:
            safe += part
    return unsafe, safe, whole * parts_of_one


def weighted_mean(terms: Iterable[tuple[int, float]], silent: int = 0) -> float:
    """The mean of the shares by their weights, exact until it is rounded once.

    `silent` is the weight of further terms, whose share is 0.
    """
    total, whole = 0, silent
    parts_of_one = 1
    for weight, share in terms:
        whole += weight
        numerator, denominator = decimal(share)
        if denominator > parts_of_one:
            total *= denominator // parts_of_one
            parts_of_one = denominator
        total += weight * numerator * (parts_of_one // denominator)
    return total / (whole * parts_of_one)
