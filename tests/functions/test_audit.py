"""The audit trail over HTTP and in the table: what is recorded, and that nothing is lost."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest
from quorum.audit import trail
from quorum.audit.chain import Action, AuditEntry, Change, Link, faults, hash_of
from quorum.audit.trail import AuditTrail
from quorum.core.errors import StoreUnavailable

from functions.api import app as api
from tests.functions.conftest import Ask, Faults
from tests.world import serial

POLICY = {"description": "for games", "categories": {"harassment": {"threshold": 0.9}}}
Read = Callable[..., tuple[int, Any]]


def change(subject: str = "policy/a") -> Change:
    return Change(action=Action.POLICY_PUT, by="console", subject=subject, after={"version": "1"})


@pytest.fixture
def read(ask: Ask) -> Read:
    def send(*, tenant: str = "acme", role: str = "operator", **query: str) -> tuple[int, Any]:
        asked = {name.rstrip("_"): value for name, value in query.items()}
        return ask(name="get_audit.json", queryStringParameters=asked, tenant=tenant, role=role)

    return send


def chain_of(read: Read, **query: str) -> list[AuditEntry]:
    """All entries, oldest first, of pages of two."""
    found: list[AuditEntry] = []
    query |= {"order": "oldest", "limit": "2"}
    while True:
        status, page = read(**query)
        assert status == 200, page
        found += map(AuditEntry.model_validate, page["entries"])
        if page["next"] is None:
            return found
        query["next_"] = page["next"]


def put_policy(ask: Ask, **options: Any) -> int:
    address = {"path": "/policies/gaming", "pathParameters": {"name": "gaming"}}
    return ask(POLICY, name="put_policy.json", **address, **options)[0]


def test_what_operators_change_is_recorded_with_who_before_and_after(ask: Ask, read: Read) -> None:
    _, verdict = ask({"content": "a very particular text"})
    address = {
        "path": f"/verdicts/{verdict['id']}/review",
        "pathParameters": {"verdict_id": verdict["id"]},
    }
    for decision in ("unsafe", "safe"):
        body = {"decision": decision, "reviewer": "ada", "note": "so particular"}
        assert ask(body, name="post_review.json", **address)[0] == 200
    assert put_policy(ask) == 200
    named = {"path": "/policies/gaming", "pathParameters": {"name": "gaming"}}
    assert ask(name="delete_policy.json", **named)[0] == 200
    entries = chain_of(read)
    assert [entry.action for entry in entries] == [
        *("review.decided", "review.decided", "policy.put", "policy.deleted")
    ]
    assert [entry.by for entry in entries] == ["operator"] * 4
    assert [entry.person for entry in entries] == ["ada", "ada", None, None]
    first, second, put, deleted = entries
    assert first.subject == f"verdict/{verdict['id']}"
    assert (first.before, first.after["decision"]) == ({}, "unsafe")
    assert (second.before["decision"], second.after["decision"]) == ("unsafe", "safe")
    assert (put.subject, put.before) == ("policy/gaming", {})
    assert put.after == deleted.before
    assert deleted.after == {}
    assert list(faults(entries)) == []
    assert "particular" not in str(entries)


def test_a_change_that_is_refused_leaves_no_entry(ask: Ask, read: Read) -> None:
    assert put_policy(ask, headers={"If-Match": '"000000000000"'}) == 412
    assert chain_of(read) == []


def test_the_same_review_sent_again_is_recorded_once(ask: Ask, read: Read) -> None:
    _, verdict = ask({"content": "a text"})
    for _ in range(2):
        ask(
            {"decision": "unsafe", "reviewer": "ada"},
            name="post_review.json",
            path=f"/verdicts/{verdict['id']}/review",
            pathParameters={"verdict_id": verdict["id"]},
        )
    assert len(chain_of(read)) == 1


def test_a_change_happens_only_with_its_entry(ask: Ask, aws: Any, read: Read) -> None:
    aws.Table("AuditTable").delete()
    assert put_policy(ask) == 503
    address = {"path": "/policies/gaming", "pathParameters": {"name": "gaming"}}
    assert ask(name="get_policy.json", **address)[0] == 404


def test_entries_are_found_by_what_who_and_when(ask: Ask, read: Read) -> None:
    audit = api.app().audit
    audit.record("acme", change())
    audit.record("acme", change("policy/b").model_copy(update={"person": "ada"}))
    audit.record("acme", change().model_copy(update={"by": "script", "action": Action.KEY_ISSUED}))

    def numbers(**query: str) -> list[int]:
        status, page = read(**query)
        assert status == 200, page
        return [entry["number"] for entry in page["entries"]]

    assert numbers() == [3, 2, 1]
    assert numbers(order="oldest") == [1, 2, 3]
    assert numbers(by="script") == [3]
    assert numbers(person="ada") == [2]
    assert numbers(subject="policy/a") == [3, 1]
    assert numbers(action="policy.put") == [2, 1]
    assert numbers(action="policy.put", by="script") == []
    today = read()[1]["entries"][0]["at"][:10]
    assert numbers(from_=today, to=today) == [3, 2, 1]
    assert numbers(to="2026-01-01") == []
    assert numbers(from_="2099-01-01") == []


def test_pages_hold_every_entry_once_also_where_few_match(
    ask: Ask, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "READ_LIMIT", 2)
    monkeypatch.setattr(trail, "QUERIES", 2)
    audit = api.app().audit
    for number in range(13):
        audit.record("acme", change(f"policy/{number % 4}"))
    assert [entry.number for entry in chain_of(read)] == list(range(1, 14))
    assert [entry.number for entry in chain_of(read, subject="policy/0")] == [1, 5, 9, 13]


def test_each_tenant_has_a_chain_of_its_own(ask: Ask, read: Read) -> None:
    audit = api.app().audit
    audit.record("acme", change())
    audit.record("other", change("policy/theirs"))
    assert [entry.subject for entry in chain_of(read)] == ["policy/a"]
    assert [entry["number"] for entry in read(tenant="other")[1]["entries"]] == [1]


def test_the_trail_takes_an_operators_key(read: Read) -> None:
    status, answer = read(role="member")
    assert (status, answer["error"]["code"]) == (403, "scope_missing")


@pytest.mark.parametrize(
    "query",
    [{"next_": "x"}, {"next_": "-1"}, {"limit": "0"}, {"order": "best"}, {"action": "all"}],
)
def test_a_query_of_junk_is_a_400_that_names_its_field(read: Read, query: dict[str, str]) -> None:
    status, answer = read(**query)
    (name,) = query
    assert (status, answer["error"]["field"]) == (400, name.rstrip("_"))


# ---- many at once ----


def test_changes_at_the_same_moment_are_all_recorded_in_one_chain(aws: Any) -> None:
    audit = AuditTrail(serial(aws), "AuditTable")
    failures: list[BaseException] = []

    def work(name: int) -> None:
        try:
            for number in range(5):
                audit.record("acme", change(f"policy/{name}-{number}"))
        except BaseException as failure:  # noqa: BLE001 shown below
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    entries = audit.page("acme", trail.AuditFilter(), newest_first=False).entries
    assert [entry.number for entry in entries] == list(range(1, 41))
    assert {entry.subject for entry in entries} == {
        f"policy/{name}-{number}" for name in range(8) for number in range(5)
    }
    assert list(faults(entries)) == []


def test_a_change_whose_number_is_taken_each_time_it_looks_is_recorded_all_the_same(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit, others = AuditTrail(aws, "AuditTable"), AuditTrail(aws, "AuditTable")
    read, left = audit.last, iter(range(4))

    def last(tenant: str) -> Link | None:
        found = read(tenant)
        if next(left, None) is not None:
            others.record(tenant, change("policy/faster"))
        return found

    monkeypatch.setattr(audit, "last", last)
    item = {"Put": {"TableName": "UsageTable", "Item": {"key": "done"}}}
    assert audit.write("acme", change("policy/slow"), [item]) == []
    monkeypatch.undo()
    entries = audit.page("acme", trail.AuditFilter(), newest_first=False).entries
    assert [entry.subject for entry in entries] == ["policy/faster"] * 4 + ["policy/slow"]
    assert list(faults(entries)) == []
    assert "Item" in aws.Table("UsageTable").get_item(Key={"key": "done"})


def test_older_code_goes_on_with_the_chain_of_newer_code(aws: Any) -> None:
    audit, table = AuditTrail(aws, "AuditTable"), aws.Table("AuditTable")
    audit.record("acme", change())
    (item,) = table.scan()["Items"]
    newer = json.loads(str(item["entry"])) | {"action": "of.newer.code", "of_newer_code": 1}
    table.put_item(Item=item | {"entry": json.dumps(newer)})
    audit.record("acme", change())
    written = [json.loads(str(one["entry"])) for one in table.scan()["Items"]]
    first, second = sorted(written, key=lambda entry: int(entry["number"]))
    assert (second["number"], second["previous"]) == (2, first["hash"])


def test_an_entry_of_newer_code_is_listed_as_it_is_and_its_chain_holds(
    ask: Ask, read: Read, aws: Any
) -> None:
    put_policy(ask)
    table = aws.Table("AuditTable")
    (item,) = table.scan()["Items"]
    newer = json.loads(str(item["entry"])) | {"action": "of.newer.code", "of_newer_code": [1]}
    newer["after"] = {"share": 0.25, "parts": {"a": ["b"]}}
    newer["hash"] = hash_of(AuditEntry.model_validate(newer))
    table.put_item(Item=item | {"entry": json.dumps(newer), "action": "of.newer.code"})
    AuditTrail(aws, "AuditTable").record("acme", change())
    first, second = chain_of(read)
    assert first.model_dump(mode="json") == newer
    assert list(faults([first, second])) == []
    changed = first.model_copy(update={"of_newer_code": [2]})
    assert [fault.number for fault in faults([changed, second])] == [1]


def test_a_change_that_never_gets_its_number_has_not_happened(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "TRYING_SECONDS", 0.0)
    audit, others = AuditTrail(aws, "AuditTable"), AuditTrail(aws, "AuditTable")
    monkeypatch.setattr(audit, "last", lambda _tenant: None)
    others.record("acme", change())
    item = {"Put": {"TableName": "UsageTable", "Item": {"key": "done"}}}
    with pytest.raises(StoreUnavailable):
        audit.write("acme", change(), [item])
    assert "Item" not in aws.Table("UsageTable").get_item(Key={"key": "done"})


def test_a_failed_condition_of_the_change_itself_is_the_callers_to_see(aws: Any) -> None:
    audit = AuditTrail(aws, "AuditTable")
    put = {"TableName": "UsageTable", "Item": {"key": "once"}}
    once = {"Put": put | {"ConditionExpression": "attribute_not_exists(#key)"}}
    once["Put"] |= {"ExpressionAttributeNames": {"#key": "key"}}
    assert audit.write("acme", change(), [once]) == []
    assert audit.write("acme", change(), [once]) == [0]
    assert len(audit.page("acme", trail.AuditFilter()).entries) == 1


def test_while_the_store_is_down_a_change_is_a_503_and_not_half_made(
    ask: Ask, faults: Faults
) -> None:
    faults.fail("TransactWriteItems")
    assert put_policy(ask) == 503
