"""The progress of a batch, from its record."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.batch.progress import BatchRecord, Kind, view_of
from quorum.batch.records import Facts

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
BEFORE, LATER = "2026-11-01T11:00:00+00:00", "2026-11-01T13:00:00+00:00"


def record(**facts: Any) -> BatchRecord:
    """A batch of three contents, as DynamoDB gives it."""
    item = {"id": "batch#acme#b", "source": "items", "created_at": BEFORE, "items": Decimal(3)}
    return BatchRecord.of("acme", "b", item | {"expires_at": Decimal(1)} | facts)


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        ({}, "receiving"),
        ({"received": True}, "running"),
        ({"received": True, "paused_until": LATER}, "paused"),
        ({"received": True, "paused_until": BEFORE}, "running"),
        ({"received": True, "paused_until": ""}, "running"),
        ({"received": True, "settled": Decimal(2), "rejected": Decimal(1)}, "complete"),
        ({"received": True, "settled": Decimal(2), "dead": Decimal(1)}, "incomplete"),
        ({"received": True, "ended": Decimal(1), "run": Decimal(1)}, "incomplete"),
        ({"received": True, "ended": Decimal(1), "run": Decimal(2)}, "running"),
        ({"ended": True}, "incomplete"),
        ({"ended": False}, "receiving"),
        ({"received": True, "cancelled_at": BEFORE}, "cancelled"),
    ],
)
def test_a_batch_is_in_the_state_its_record_says(facts: dict[str, Any], state: str) -> None:
    assert record(**facts).state(NOW) == state


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        ({}, Kind.ITEMS),
        ({"source": "upload"}, Kind.UPLOAD),
        ({"work": "{}"}, Kind.DOCUMENTS),
        ({"work": "{}", "source": "upload"}, Kind.DOCUMENTS),
        ({"kind": "documents"}, Kind.DOCUMENTS),
    ],
)
def test_a_batch_made_before_it_said_its_kind_is_of_the_kind_it_was(
    facts: dict[str, Any], kind: Kind
) -> None:
    assert record(**facts).kind is kind


@given(
    settled=st.integers(0, 50),
    rejected=st.integers(0, 50),
    dead=st.integers(0, 50),
    left=st.integers(0, 50),
    cancelled=st.booleans(),
)
def test_every_item_is_counted_once_in_a_view(
    settled: int, rejected: int, dead: int, left: int, *, cancelled: bool
) -> None:
    facts: dict[str, Any] = {"items": Decimal(settled + rejected + dead + left)}
    facts |= {"settled": settled, "rejected": rejected, "dead": dead}
    facts |= {"cancelled_at": BEFORE} if cancelled else {}
    view = view_of(record(**facts), Decimal(0), NOW)
    assert view.items == view.settled + view.rejected + view.dead + view.pending + view.cancelled
    assert (view.cancelled if cancelled else view.pending) == left


def test_whatever_may_be_noted_of_a_batch_is_a_field_of_its_record() -> None:
    assert set(Facts.__annotations__) <= set(BatchRecord.model_fields)


def test_counters_of_any_name_are_kept_and_nothing_else_is() -> None:
    kept = record(calls=Decimal(4), saved_usd=Decimal("0.25"), strange="text")
    assert kept.amounts == {
        "calls": Decimal(4),
        "saved_usd": Decimal("0.25"),
        "expires_at": Decimal(1),
    }
    assert (kept.count("calls"), kept.count("nothing")) == (4, 0)
