"""A parser, and what is required of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.fuzz.inputs import Strategy

Refusals = tuple[type[BaseException], ...]


class Parser(NamedTuple):
    """What reads, what it is given, and the errors by which it refuses."""

    read: Callable[[Any], object]
    given: Strategy
    refusals: Refusals = ()


class Broken(AssertionError):
    """A parser returned what it must not, or answered with an error of ours."""


def require(condition: object, what: str) -> None:
    if not condition:
        raise Broken(what)
