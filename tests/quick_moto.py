"""Shorter ways through moto, for tests and benchmarks that would else mostly measure it.

moto looks for each of the ten members that an `AttributeValue` may have under every name it could
go by; that was half of the time of all tests on moto. An item's value is a dict that has just one
of them, under its own name.

For each node of an update's expression moto asks ten times what is to be done with it, and for each
request it lists the operations of its service; here it does so once for each kind.

Before each transaction moto copies all items of each table, once for every entry that it writes, to
have them back if the transaction fails. Here the copy has the items themselves, but for those that
the transaction writes.
"""

import copy
import pickle
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple
from unittest.mock import patch

from moto import mock_aws
from moto.core import responses
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.serialize import JSONSerializer
from moto.core.utils import method_names_from_class
from moto.dynamodb.models import DynamoDBBackend, dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.parsing import ast_nodes, validators


class _Written(NamedTuple):
    """An item that a transaction writes, by the attributes of its key and perhaps others."""

    table: str
    key: dict[str, Any]


class _Treatment(NamedTuple):
    """What is done with a kind of node."""

    is_node: bool
    is_processed: bool


_TREATMENTS: dict[tuple[type, type], _Treatment] = {}
"""By the types of a traverser and a node."""
_WRITTEN: ContextVar[tuple[_Written, ...]] = ContextVar("_WRITTEN")
"""What the transaction that is under way writes."""


@contextmanager
def quick_aws() -> Iterator[None]:
    """`moto.mock_aws` with the shorter ways."""
    with ExitStack() as quick:
        change = quick.enter_context
        change(patch.object(JSONSerializer, "_serialize_type_structure", serialize_structure))
        change(patch.object(NODES.DepthFirstTraverser, "traverse_node_recursively", traverse))
        change(patch.object(validators, "deepcopy", deep_copy))
        change(patch.object(responses, "method_names_from_class", cache(method_names_from_class)))
        change(patch.object(DynamoDBBackend, "transact_write_items", transact))
        change(patch.object(Table, "__deepcopy__", copied, create=True))
        change(mock_aws())
        yield


def serialize_structure(
    self: JSONSerializer, serialized: dict[str, Any], value: Any, shape: Any, key: str
) -> None:
    """`JSONSerializer._serialize_type_structure`; of a dict that is a value, only what it has."""
    if shape.name != "AttributeValue" or type(value) is not dict or not key:
        MOTOS_OWN(self, serialized, value, shape, key)
        return
    wrapper: dict[str, Any] = {}
    for name, member in value.items():
        self._serialize(wrapper, member, shape.members[name], name)
    self._default_serialize(serialized, wrapper, shape, key)


def deep_copy(value: Any) -> Any:
    """`copy.deepcopy`, for trees and values of moto's own: in a third of the time."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 what was pickled here


def traverse(self: Any, node: Any, child_id: int = -1) -> Any:
    """`DepthFirstTraverser.traverse_node_recursively`."""
    kind = (type(self), type(node))
    if kind not in _TREATMENTS:
        wanted = self.nodes_to_be_processed()
        _TREATMENTS[kind] = _Treatment(isinstance(node, NODES.Node), isinstance(node, wanted))
    treatment = _TREATMENTS[kind]
    if not treatment.is_node:
        return node
    parent = node.parent
    for place, child in enumerate(node.children or ()):
        self.pre_processing_of_child(node, place)
        self.traverse_node_recursively(child, place)
    if treatment.is_processed:
        node = self.process(node)
        node.parent = parent
        if parent:
            parent.children[child_id] = node
    return node


def transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    """`DynamoDBBackend.transact_write_items`, which says what it writes to `copied`."""
    given = [one for entry in transact_items for one in entry.values()]
    written = [_Written(one.get("TableName"), one.get("Key") or one.get("Item")) for one in given]
    said = _WRITTEN.set(tuple(written))
    try:
        MOTOS_TRANSACTION(self, transact_items)
    finally:
        _WRITTEN.reset(said)


def tables() -> dict[str, Table]:
    """The tables of the account."""
    found: dict[str, Table] = dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].tables
    return found


def copied(table: Table, memo: dict[int, Any]) -> Table:
    """`copy.deepcopy(table)`; within a transaction, with the items that it does not write."""
    before = copy.copy(table)
    written = _WRITTEN.get(None)
    if written is None:
        memo[id(table)] = before  # its stream names it
        vars(before).update(copy.deepcopy(vars(table), memo))
        return before
    before.items = table.items.copy()
    if table.stream_shard is not None:
        before.stream_shard = shard = copy.copy(table.stream_shard)
        shard.table, shard.items = before, table.stream_shard.items.copy()
    for name, key in written:
        if name == table.name and all(one in key for one in table.table_key_attrs):
            _own(before, key)
    return before


def _own(table: Table, key: dict[str, Any]) -> None:
    """Make the item with that key, if there is one, an object of this table alone."""
    items: dict[DynamoType, Any] = table.items
    name = DynamoType(key[table.hash_key_attr])
    if table.range_key_attr and name in items:
        items[name] = items = items[name].copy()
        name = DynamoType(key[table.range_key_attr])
    if name in items:
        items[name] = copy.deepcopy(items[name])


NODES: Any = ast_nodes
"""Moto's module, which states no types."""
# The ways that are shortened.
MOTOS_OWN: Any = JSONSerializer._serialize_type_structure  # noqa: SLF001 nothing else has it
MOTOS_TRANSACTION: Any = DynamoDBBackend.transact_write_items
