"""The write units that DynamoDB bills for an item and for its entries in indexes, by their sizes.

An item counts with the larger of what it was and what it becomes. An entry of an index has the
attributes that the index projects. It costs nothing where they stay, and where the index's own key
changes it is deleted under the old key and put under the new one
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html).
"""

from collections import Counter
from decimal import Decimal
from typing import Any, NamedTuple

KEY_UNITS = 1_000
"""Write units a second that DynamoDB takes under one key."""
UNIT_BYTES = 1_024
CONTAINER_BYTES = 3
"""Bytes of a list or map beside what it holds, each element of which has one more."""

Item = dict[str, Any]


class Index(NamedTuple):
    """An index as a table's description names it; `attributes` is None if it has whole items."""

    name: str
    key: tuple[str, ...]
    attributes: frozenset[str] | None


class Table(NamedTuple):
    """A table's key and indexes."""

    key: tuple[str, ...]
    indexes: tuple[Index, ...]


def described(client: Any, name: str) -> Table:
    """The table as it is deployed."""
    found = client.describe_table(TableName=name)["Table"]
    key = _key(found["KeySchema"])
    return Table(key, tuple(_index(one, key) for one in found.get("GlobalSecondaryIndexes", [])))


def _key(schema: list[dict[str, Any]]) -> tuple[str, ...]:
    return tuple(one["AttributeName"] for one in sorted(schema, key=lambda one: one["KeyType"]))


def _index(index: dict[str, Any], table_key: tuple[str, ...]) -> Index:
    key, projection = _key(index["KeySchema"]), index["Projection"]
    named = frozenset((*key, *table_key, *projection.get("NonKeyAttributes", [])))
    whole = projection["ProjectionType"] == "ALL"
    return Index(index["IndexName"], key, None if whole else named)


def write_units(
    table: Table, before: Item | None, after: Item | None, *, transactional: bool
) -> Counter[str]:
    """The units of one write by partition: of the item, and of its entry in each index."""
    units: Counter[str] = Counter()
    item = after or before
    if item is None:
        return units
    largest = max(_units(before), _units(after), 1)
    units[str(item[table.key[0]])] += (2 if transactional else 1) * largest
    for index in table.indexes:
        old, new = _entry(index, before), _entry(index, after)
        if old == new:
            continue
        if old and new and all(old[name] == new[name] for name in index.key):
            units[_partition(index, new)] += max(_units(old), _units(new))
            continue
        for entry in (old, new):
            if entry is not None:
                units[_partition(index, entry)] += _units(entry)
    return units


def _entry(index: Index, item: Item | None) -> Item | None:
    """What an index has of an item: nothing unless the item has the index's whole key."""
    if item is None or any(name not in item for name in index.key):
        return None
    if index.attributes is None:
        return item
    return {name: value for name, value in item.items() if name in index.attributes}


def _partition(index: Index, entry: Item) -> str:
    return f"index {index.name} {entry[index.key[0]]}"


def _units(item: Item | None) -> int:
    return 0 if item is None else -(-size(item) // UNIT_BYTES)


def size(item: Item) -> int:
    """The bytes of an item, as DynamoDB counts them."""
    return sum(len(name.encode()) + _size(value) for name, value in item.items())


def _size(value: Any) -> int:
    match value:
        case bool() | None:
            return 1
        case str():
            return len(value.encode())
        case int() | Decimal():
            return len(Decimal(value).as_tuple().digits) // 2 + 2
        case dict():
            return CONTAINER_BYTES + len(value) + size(value)
        case list() | set():
            return CONTAINER_BYTES + sum(1 + _size(one) for one in value)
        case _:  # bytes, as boto3 wraps them
            return len(bytes(value))
