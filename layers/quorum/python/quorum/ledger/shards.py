"""Shards: a counter that every call adds to is kept as several items, which are read together.

DynamoDB writes at most 1,000 units a second under one key, and a transaction's write costs two. A
counter of all calls of a batch, a day or a model is therefore spread: each transaction adds to one
of `SHARDS` items, chosen at random, and the same number for all its counters, so that two
transactions meet on all of them or on none. The sum of the items is the counter, as exact as one
item would be. Pure but for the random choice.
"""

import random
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

SHARDS = 16
"""Items of one counter. 1,500 items of a batch a second, with 2.3 calls each, need seven."""


def chosen() -> int:
    """The number of a shard, from 0, for the counters of one transaction."""
    return random.randrange(SHARDS)  # noqa: S311 - spreads load, not a secret


def sharded(key: str, shard: int) -> str:
    """The key of a counter's shard; the first has the name of the counter itself.

    The sign between them is in no tenant's name: else a tenant `acme#3` would share its counters
    with the third shard of `acme`.
    """
    return f"{key}~{shard}" if shard else key


def counter_of(key: str) -> str:
    """The counter that a shard's key belongs to."""
    return key.partition("~")[0]


def keys_of(key: str) -> list[str]:
    """The keys of all shards of a counter."""
    return [sharded(key, shard) for shard in range(SHARDS)]


def added_up(items: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """The sums of the numbers in a counter's shards, by name."""
    sums: dict[str, Decimal] = {}
    for item in items:
        for name, value in item.items():
            if isinstance(value, Decimal):
                sums[name] = sums.get(name, Decimal(0)) + value
    return sums
