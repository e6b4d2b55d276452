"""Write units under each key, counted on the code's own transactions: how fast one batch can be."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from quorum.batch.counters import NEIGHBOURS, UNSPREAD_ITEMS
from quorum.batch.progress import Kind
from quorum.core.models import Decision
from quorum.ledger import shards
from quorum.ledger.intents import INTENT_SHARDS
from quorum.ledger.shards import SHARDS
from quorum.vote import panel
from quorum.vote.review_entries import SHARDS as SHARDS_WAITING
from quorum.vote.review_entries import pending_partition
from quorum.vote.severity import Severity

from tests.functions.conftest import make_tables
from tests.world import BATCH, TENANT, Gateway, Serial, World, items
from tests.write_units import KEY_UNITS, Table, described, write_units

PAGE = 3
"""Items judged of each page."""
ITEMS_A_SECOND = 1_500
"""What one batch is to reach."""
ALL_WAIT = 40
"""Items of a batch that is left to a person."""
PENDING = "VerdictsTable index reviews "
WHERE = {"Put": "Item", "Update": "Key", "Delete": "Key"}


class Written(NamedTuple):
    """An item that a transaction writes."""

    table: str
    key: tuple[tuple[str, Any], ...]


class Units(Serial):
    """DynamoDB that counts the write units of transactions by partition."""

    def __init__(self, dynamodb: Any) -> None:
        super().__init__(dynamodb)
        self.by_key: Counter[str] = Counter()
        self._tables: dict[str, Table] = {}

    def __getattr__(self, name: str) -> Any:
        call = super().__getattr__(name)
        if name != "transact_write_items":
            return call

        def counted(**request: Any) -> Any:
            written = [self._written(entry) for entry in request["TransactItems"]]
            before = self._items(written)
            answer = call(**request)
            becomes = self._items(written)
            for one in written:
                was, item = before.get(one), becomes.get(one)
                table = self._table(one.table)
                for key, count in write_units(table, was, item, transactional=True).items():
                    self.by_key[f"{one.table} {key}"] += count
            return answer

        return counted

    def _table(self, name: str) -> Table:
        if name not in self._tables:
            self._tables[name] = described(self._client, name)
        return self._tables[name]

    def _written(self, entry: dict[str, Any]) -> Written:
        ((kind, given),) = entry.items()
        return self._place(given["TableName"], given[WHERE[kind]])

    def _place(self, table: str, item: dict[str, Any]) -> Written:
        return Written(table, tuple((name, item[name]) for name in self._table(table).key))

    def _items(self, written: list[Written]) -> dict[Written, dict[str, Any]]:
        asked: dict[str, Any] = {}
        for one in written:
            asked.setdefault(one.table, {"Keys": []})["Keys"].append(dict(one.key))
        found = self.batch_get_item(RequestItems=asked)["Responses"]
        return {self._place(table, item): item for table in found for item in found[table]}


@pytest.fixture
def units(account: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Units]:
    """Shards are taken in turn, as often as each other: so often is each chosen in the end.

    Each turn begins one further on: an item chooses as often as every other, and would else choose
    the same shards for the same things.
    """
    make_tables(account)
    turn = ((number + number // SHARDS) % SHARDS for number in itertools.count())
    monkeypatch.setattr(shards, "chosen", lambda: next(turn))
    return Units(account)


THREE = panel.load(
    {
        "name": "three",
        "rounds": [["gemini-2.5-flash", "deepseek-v3.2", "gpt-4.1"]],
        "stop": "all",
        "quorum": 2,
        "rule": {"kind": "majority"},
    }
)


def test_no_key_of_a_batch_a_day_or_a_model_ends_before_1500_items_a_second(units: Units) -> None:
    world = World(units, Gateway(), panel_of=lambda _tenant, _name: THREE)
    facts: dict[str, Any] = {"kind": Kind.UPLOAD, "items": 10**6, "upload": "uploads/acme/one"}
    world.batches.create(TENANT, BATCH, panel="three", **facts)
    world.batches.spread_counters(TENANT, BATCH)
    units.by_key.clear()
    for page in range(SHARDS):
        texts = [f"text {page} {n}" for n in range(PAGE)]
        start = UNSPREAD_ITEMS + page * NEIGHBOURS
        assert set(world.judge(items(*texts, start=start)).values()) == {None}
    assert world.view().settled == SHARDS * PAGE

    # Where an intent's entry is listed is a hash of its id: so few are spread unevenly.
    listed = [name for name in units.by_key if "index entries intents#" in name]
    assert len(listed) > INTENT_SHARDS / 2
    intents = sum(units.by_key.pop(name) for name in listed)
    assert KEY_UNITS * INTENT_SHARDS * SHARDS * PAGE / intents >= ITEMS_A_SECOND
    ends = {
        re.sub(r"\d{4}-\d\d-\d\d", "<day>", key): KEY_UNITS * SHARDS * PAGE / count
        for key, count in units.by_key.items()
    }
    # A part of a model's limit is chosen at random, and written once more where the tokens were
    # estimated wrongly, which here they are not.
    parts = [ends.pop(key) for key in list(ends) if " bucket#" in key]
    assert len(parts) > 3 * SHARDS / 2
    assert 1 / sum(1 / part for part in parts) * 3 * SHARDS / 2 >= ITEMS_A_SECOND
    first = min(ends, key=lambda key: ends[key])
    assert ends[first] >= ITEMS_A_SECOND, (first, ends[first])


def test_the_reviewers_queue_takes_a_batch_of_which_all_waits(units: Units) -> None:
    gateway = Gateway()
    world = World(units, gateway, panel_of=lambda _tenant, _name: THREE)
    world.new_batch(ALL_WAIT)
    texts = [f"text {n}" for n in range(ALL_WAIT)]
    gateway.says.update(dict.fromkeys(texts, Decision.NEEDS_REVIEW))
    world.judge(items(*texts))
    waiting = {
        key.removeprefix(PENDING): count
        for key, count in units.by_key.items()
        if key.startswith(PENDING)
    }
    written = sum(waiting.values())
    assert written >= 2 * ALL_WAIT  # verdicts of three voters, without their reasons
    # They are spread by a hash; so few are spread unevenly.
    partitions = {pending_partition(TENANT, Severity.LOW, shard) for shard in range(SHARDS_WAITING)}
    assert waiting.keys() <= partitions
    assert KEY_UNITS * len(partitions) * ALL_WAIT / written >= ITEMS_A_SECOND
