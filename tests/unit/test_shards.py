"""Counters that are spread over several items and added up again."""

from collections import Counter as Counted
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from quorum.batch.counters import UNSPREAD_ITEMS, Counter, spread, together
from quorum.bulk.machine import PAGE_ITEMS
from quorum.core.models import Identifier
from quorum.core.position import BatchPosition
from quorum.ledger import shards
from quorum.ledger.shards import SHARDS

BATCH = "0123456789abcdef0123456789abcdef"


def counter(index: int) -> Counter:
    return Counter.of(BatchPosition(batch=BATCH, index=index))


def test_the_first_shard_has_the_name_of_the_counter_which_it_had_before_there_were_others() -> (
    None
):
    assert shards.keys_of("usage#day")[:3] == ["usage#day", "usage#day~1", "usage#day~2"]
    assert len(set(shards.keys_of("usage#day"))) == SHARDS
    assert {shards.chosen() for _ in range(2_000)} == set(range(SHARDS))


@given(
    amounts=st.lists(
        st.tuples(
            st.integers(0, SHARDS - 1),
            st.sampled_from(["calls", "cost_usd"]),
            st.decimals(0, 9, places=12),
        )
    )
)
def test_the_shards_of_a_counter_add_up_to_what_one_item_would_hold(
    amounts: list[tuple[int, str, Decimal]],
) -> None:
    spread_out: dict[int, dict[str, Decimal]] = {}
    one: dict[str, Decimal] = {}
    for shard, name, amount in amounts:
        item = spread_out.setdefault(shard, {})
        item[name] = item.get(name, Decimal(0)) + amount
        one[name] = one.get(name, Decimal(0)) + amount
    assert shards.added_up(spread_out.values()) == one


def test_a_batch_of_a_request_is_counted_in_its_record_and_an_upload_in_all_shards() -> None:
    assert {counter(index).shard for index in range(UNSPREAD_ITEMS)} == {0}
    pages = range(UNSPREAD_ITEMS, UNSPREAD_ITEMS + SHARDS * PAGE_ITEMS, PAGE_ITEMS)
    assert Counted(counter(index).shard for index in pages) == dict.fromkeys(range(SHARDS), 1)
    assert {one.shard for one in spread(BATCH)} == set(range(1, SHARDS))


@given(st.integers(0, 10**7 - 1))
def test_the_items_of_a_page_are_counted_together(page: int) -> None:
    first = page * PAGE_ITEMS
    assert counter(first) == counter(first + PAGE_ITEMS - 1)


def test_a_record_and_its_shards_are_read_as_one() -> None:
    record = {
        "id": "batch#acme#1",
        "items": Decimal(5000),
        "settled": Decimal(1000),
        "dead": Decimal(1),
    }
    times = {"first_settled_at": "2026-03-01T10:00", "last_settled_at": "2026-03-01T11:00"}
    beside = [
        {
            "id": "batch#acme#1~1",
            "expires_at": Decimal(9),
            "settled": Decimal(3),
            "safe": Decimal(2),
        }
        | times,
        {"id": "batch#acme#1~2", "expires_at": Decimal(9), "dead": Decimal(0)},
    ]
    assert together(record | {"expires_at": Decimal(9)}, beside) == record | {
        "expires_at": Decimal(9),
        "settled": Decimal(1003),
        "safe": Decimal(2),
        "last_settled_at": "2026-03-01T11:00",
    }


def test_no_tenants_counter_is_a_shard_of_another_tenants() -> None:
    names = TypeAdapter(Identifier)
    for key in shards.keys_of("acme")[1:]:
        with pytest.raises(ValidationError):
            names.validate_python(key)
    assert not set(shards.keys_of("acme#3")) & set(shards.keys_of("acme"))


def test_a_shards_key_leads_back_to_its_counter() -> None:
    for key in ("usage#2026-03-01#gpt-4.1#acme#3", "decisions#2026-03-01#acme"):
        assert {shards.counter_of(one) for one in shards.keys_of(key)} == {key}
