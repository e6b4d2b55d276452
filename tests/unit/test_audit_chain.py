"""The chain of audit entries: whatever is done to it is found."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.audit.chain import Action, AuditEntry, Change, entry_after, faults

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def chain(length: int, tenant: str = "acme") -> list[AuditEntry]:
    made: list[AuditEntry] = []
    for number in range(length):
        change = Change(
            action=Action.REVIEW_DECIDED,
            by="console",
            person=f"reviewer-{number % 3}",
            subject=f"verdict/{number}",
            after={"decision": "unsafe", "categories": ("hate",)},
        )
        last = made[-1] if made else None
        made.append(entry_after(tenant, last, change, NOW + timedelta(seconds=number)))
    return made


def messages(entries: list[AuditEntry]) -> list[str]:
    return [fault.message for fault in faults(entries)]


@given(st.integers(0, 20))
def test_a_chain_as_it_was_written_has_no_fault_also_after_it_was_sent_as_json(length: int) -> None:
    sent = [AuditEntry.model_validate_json(one.model_dump_json()) for one in chain(length)]
    assert messages(sent) == []


CHANGES: list[dict[str, Any]] = [
    {"by": "somebody else"},
    {"person": None},
    {"action": Action.REVIEW_CLAIMED},
    {"subject": "verdict/other"},
    {"before": {"decision": "safe"}},
    {"after": {"decision": "safe", "categories": ["hate"]}},
    {"at": NOW - timedelta(days=1)},
    {"tenant": "other"},
    {"hash": "a" * 64},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
@given(at=st.integers(0, 6))
def test_a_changed_field_of_any_entry_is_found(change: dict[str, Any], at: int) -> None:
    entries = chain(7)
    entries[at] = entries[at].model_copy(update=change)
    assert f"entry {at + 1} was changed after it was written" in messages(entries)


@given(st.integers(0, 5))
def test_an_entry_that_is_changed_and_hashed_anew_no_longer_leads_to_the_next(at: int) -> None:
    entries = chain(7)
    last = entries[at - 1] if at else None
    forged = Change(action=Action.KEY_ISSUED, by="mallory", subject="key/1")
    entries[at] = entry_after("acme", last, forged, NOW)
    assert messages(entries) == [f"entry {at + 2} does not follow the one before it"]


@given(st.integers(0, 5))
def test_a_missing_entry_is_found_by_its_number(at: int) -> None:
    entries = chain(7)
    del entries[at]
    assert messages(entries) == [f"entry {at + 1} is missing"]


def test_several_missing_entries_are_found_together() -> None:
    assert messages(chain(7)[:2] + chain(7)[5:]) == ["entries 3 to 5 are missing"]


@given(st.permutations(range(5)))
def test_entries_in_any_other_order_are_found(order: list[int]) -> None:
    entries = chain(5)
    assert bool(messages([entries[index] for index in order])) is (order != sorted(order))


def test_a_missing_entry_whose_number_was_taken_by_the_next_is_found() -> None:
    entries = chain(4)
    renumbered = [entry.model_copy(update={"number": entry.number - 1}) for entry in entries[2:]]
    assert messages([entries[0], *renumbered])


def test_an_entry_of_another_tenants_chain_does_not_fit() -> None:
    entries = chain(4)
    entries[2] = chain(4, "other")[2]
    assert "entry 3 does not follow the one before it" in messages(entries)


def test_an_entry_says_what_it_covers_in_json_that_anybody_can_hash() -> None:
    (entry,) = chain(1)
    fields = json.loads(entry.model_dump_json())
    assert fields.keys() == {
        *("tenant", "number", "at", "action", "by", "person", "subject", "before", "after"),
        *("previous", "hash"),
    }
