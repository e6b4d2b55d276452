"""The list of verdicts over HTTP: order, filters, pages, and nobody else's."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.core.models import Content, Verdict
from quorum.vote import verdict_list
from quorum.vote.evaluation import conclude_at_once
from quorum.vote.policy import DEFAULT

from functions.api import app as api
from tests import make
from tests.functions.conftest import Ask

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONTH = {"from": "2026-11-01", "to": "2026-11-30"}
Store = Callable[..., Verdict]


@pytest.fixture
def store(ask: Ask) -> Store:
    """Store a verdict of `hours` before noon of the 20th."""
    container: ApiContainer = api.app()

    def put(name: str, hours: float = 0, *, tenant: str = "acme", **changes: Any) -> Verdict:
        evaluation = make.evaluation(verdict_id=name, tenant=tenant)
        decision = changes.pop("decision", "safe")
        scores = changes.pop("scores", {})
        votes = [
            make.cast(voter, decision, confidence=1.0, scores=scores)
            for voter in evaluation.panel.voters
        ]
        at = (NOW - timedelta(hours=hours)).timestamp()
        verdict = conclude_at_once(evaluation, votes, DEFAULT, now=at)
        content = Content(text=f"a text {name}")
        return container.verdicts.record(tenant, content, verdict.model_copy(update=changes))

    return put


@pytest.fixture
def read(ask: Ask) -> Callable[..., tuple[int, Any]]:
    def send(
        *, tenant: str = "acme", role: str = "member", metadata: tuple[str, ...] = (), **query: str
    ) -> tuple[int, Any]:
        asked = MONTH | {name.rstrip("_"): value for name, value in query.items()}
        several = {name: [value] for name, value in asked.items()}
        if metadata:
            asked["metadata"], several["metadata"] = metadata[-1], list(metadata)
        return ask(
            name="get_verdicts.json",
            queryStringParameters=asked,
            multiValueQueryStringParameters=several,
            tenant=tenant,
            role=role,
        )

    return send


def ids(page: Any) -> list[str]:
    return [one["id"] for one in page["verdicts"]]


def pages(read: Callable[..., tuple[int, Any]], **query: str) -> list[list[str]]:
    """The ids of all pages."""
    found: list[list[str]] = []
    while True:
        status, page = read(**query)
        assert status == 200, page
        found.append(ids(page))
        if page["next"] is None:
            return found
        assert page["next"] != query.get("next_"), "the same page again"
        query["next_"] = page["next"]


def test_a_verdict_that_newer_code_stored_is_left_out_of_the_list_of_the_others(
    store: Store, read: Callable[..., tuple[int, Any]], aws: Any
) -> None:
    for hours, name in enumerate(("last", "newer", "first")):
        store(name, hours)
    table = aws.Table("VerdictsTable")
    item = table.get_item(Key={"id": "verdict#acme#newer"})["Item"]
    document = json.loads(str(item["verdict"])) | {"decision": "of_newer_code"}
    table.put_item(Item=item | {"verdict": json.dumps(document)})
    assert ids(read()[1]) == ["last", "first"]


def test_verdicts_are_listed_newest_first_and_whole(
    ask: Ask, store: Store, read: Callable[..., tuple[int, Any]]
) -> None:
    for name, hours in (("old", 100), ("new", 0), ("middle", 30)):
        store(name, hours)
    _, page = read()
    assert ids(page) == ["new", "middle", "old"]
    assert page["next"] is None
    assert ask(name="get_verdict.json", path="/verdicts/new")[1] == page["verdicts"][0]


def test_another_tenants_verdicts_are_not_listed(
    store: Store, read: Callable[..., tuple[int, Any]]
) -> None:
    store("theirs", tenant="other")
    assert ids(read()[1]) == []
    assert ids(read(tenant="other")[1]) == ["theirs"]
    # "acme" and a day spell no other tenant's partition.
    assert ids(read(tenant="oth")[1]) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"decision": "unsafe"}, ["bad"]),
        ({"decision": "needs_review"}, []),
        ({"category": "harassment"}, ["bad"]),
        ({"category": "hate"}, []),
        ({"panel": "economy"}, ["cheap"]),
        ({"policy": "gaming"}, ["played"]),
        ({"language": "ko"}, ["korean"]),
        ({"language": "ko", "decision": "unsafe"}, []),
        ({"from": "2026-11-19"}, ["bad", "cheap"]),
        ({"to": "2026-11-18"}, ["korean", "played"]),
        ({"from": "2026-11-18", "to": "2026-11-18"}, ["korean"]),
        ({"from": "2026-11-18T12:00:00Z", "to": "2026-11-19T12:00:00Z"}, ["korean"]),
        ({"from": "2026-11-18T12:00:00.000001Z", "to": "2026-11-19T12:00:00.000001Z"}, ["cheap"]),
        ({"from": "2026-11-19T21:00:00+09:00", "to": "2026-11-19"}, ["cheap"]),
        ({"from": "2026-11-19", "to": "2026-11-20T12:00:00Z", "decision": "safe"}, ["cheap"]),
        ({"from": "2026-11-20T12:00:00Z"}, ["bad"]),
    ],
)
def test_a_filter_leaves_what_it_asks_for(
    store: Store,
    read: Callable[..., tuple[int, Any]],
    query: dict[str, str],
    expected: list[str],
) -> None:
    store("bad", 0, decision="unsafe", scores={"harassment": 0.9, "hate": 0.2})
    store("cheap", 24, panel="economy")
    store("korean", 48, language="ko")
    store("played", 72, policy="gaming")
    assert ids(read(**query)[1]) == expected


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (("thread=7",), ["number", "text"]),
        (("thread=7", "forum=cats"), ["text"]),
        (("forum=cats",), ["text", "other"]),
        (("hot=true",), ["other"]),
        (("equation=a=b",), ["other"]),
        (("nothing=null",), ["other"]),
        (("thread=77",), []),
        (("hread=7",), []),
        (("thread=7", "thread=8"), []),
        (("thread",), ["number", "text"]),
        (("forum", "thread=7"), ["text"]),
        (("forum", "hot"), ["other"]),
        (("nothing",), ["other"]),
        (("hread",), []),
        (("cats",), []),
        (("t",), []),
    ],
)
def test_verdicts_are_found_by_entries_of_their_metadata(
    store: Store,
    read: Callable[..., tuple[int, Any]],
    metadata: tuple[str, ...],
    expected: list[str],
) -> None:
    store("number", 0, metadata={"thread": 7})
    store("text", 1, metadata={"thread": "7", "forum": "cats"})
    of_many_kinds = {"forum": "cats", "hot": True, "equation": "a=b", "nothing": None}
    store("other", 2, metadata=of_many_kinds)
    store("none", 3)
    status, page = read(metadata=metadata)
    assert (status, ids(page)) == (200, expected)


def test_the_index_holds_no_metadata_that_can_be_read(store: Store, aws: Any) -> None:
    store("private", metadata={"author": "ada@example.com"})
    (item,) = (one for one in aws.Table("VerdictsTable").scan()["Items"] if "listed" in one)
    assert not any(word in str(item["metadata"]) for word in ("author", "ada@", "example"))


@pytest.mark.parametrize("metadata", [("",), ("=7",), ("t=1",) * 6, ("t=" + "x" * 511,)])
def test_metadata_without_a_name_is_a_400(
    read: Callable[..., tuple[int, Any]], metadata: tuple[str, ...]
) -> None:
    status, answer = read(metadata=metadata)
    assert status == 400
    assert answer["error"]["field"].startswith("metadata")


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("looked_at", [1, 2, 1_000])
def test_pages_hold_every_verdict_once_in_order(
    store: Store,
    read: Callable[..., tuple[int, Any]],
    monkeypatch: pytest.MonkeyPatch,
    limit: int,
    looked_at: int,
) -> None:
    monkeypatch.setattr(verdict_list, "READ_LIMIT", looked_at)
    stored = [f"v{number}" for number in range(7)]
    for number, name in enumerate(stored):
        store(name, number * 7, decision="unsafe" if number % 2 else "safe")
    found = pages(read, limit=str(limit))
    assert [name for page in found for name in page] == stored
    assert max(map(len, found)) <= limit
    found = pages(read, limit=str(limit), decision="unsafe")
    assert [name for page in found for name in page] == stored[1::2]


AT = (
    *("2026-11-18T23:59:59.999999Z", "2026-11-19T00:00:00Z", "2026-11-19T00:00:00.000001Z"),
    *("2026-11-19T12:00:00Z", "2026-11-19T12:00:00Z", "2026-11-19T12:00:00Z"),
    *("2026-11-19T12:00:00.5Z", "2026-11-19T12:00:01Z", "2026-11-20T00:00:00Z"),
)
"""The times of the verdicts of the test below: next to midnight, and three at one moment."""
DAYS = ("2026-11-18", "2026-11-19", "2026-11-20")


def test_pages_of_any_period_hold_each_of_its_verdicts_once_in_order(
    store: Store, read: Callable[..., tuple[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[tuple[datetime, str]] = []
    for number, at in enumerate(AT):
        moment = datetime.fromisoformat(at)
        store(f"v{number}", created_at=moment, metadata={"odd": 1} if number % 2 else {})
        stored.append((moment, f"v{number}"))

    @settings(max_examples=25)
    @given(
        *(st.sampled_from((*AT, *DAYS, "2026-11-19T21:00:00.000001+09:00")),) * 2,
        *(st.integers(1, 4), st.integers(1, 9), st.booleans()),
    )
    def check(start: str, end: str, limit: int, looked_at: int, odd: bool) -> None:
        monkeypatch.setattr(verdict_list, "READ_LIMIT", looked_at)
        entries = ("odd",) if odd else ()
        asked = {"from": start, "to": end, "limit": str(limit)}
        first = datetime.fromisoformat(f"{start}T00:00:00Z" if start in DAYS else start)
        last = datetime.fromisoformat(f"{end}T00:00:00Z" if end in DAYS else end)
        last += timedelta(days=1) if end in DAYS else timedelta()
        if first >= last:
            status, refused = read(metadata=entries, **asked)
            assert (status, refused["error"]["field"]) == (400, "to")
            return
        expected = [
            name
            for moment, name in sorted(stored, reverse=True)
            if first <= moment < last and (not odd or int(name[1:]) % 2)
        ]
        found = pages(partial(read, metadata=entries), **asked)
        assert [name for page in found for name in page] == expected
        assert max(map(len, found)) <= limit

    check()


def test_more_verdicts_of_one_moment_than_are_looked_at_are_listed_once_and_the_list_ends(
    store: Store, read: Callable[..., tuple[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict_list, "READ_LIMIT", 2)
    at_once = [f"v{number:02}" for number in range(4 * verdict_list.PARTITIONS)]
    for name in at_once:
        store(name, decision="unsafe" if name.endswith("7") else "safe")
    store("before", 1)
    found = pages(read, limit="5")
    assert [name for page in found for name in page] == [*reversed(at_once), "before"]
    assert [name for page in pages(read, decision="unsafe") for name in page] == ["v07"]


def test_the_first_of_all_days_has_a_last_page(read: Callable[..., tuple[int, Any]]) -> None:
    assert read(from_="0001-01-01", to="0001-01-01") == (200, {"verdicts": [], "next": None})


def test_a_page_that_looked_at_much_ends_early_and_says_that_there_is_more(
    store: Store, read: Callable[..., tuple[int, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdict_list, "QUERIES", 3)
    store("far", 24 * 15)
    _, page = read()
    assert ids(page) == []
    assert page["next"] is not None
    assert [name for one in pages(read) for name in one] == ["far"]


def made_up(*position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


@pytest.mark.parametrize(
    "cursor",
    [
        *("nonsense", "====", "ä", "\x00", "x" * 513),
        made_up(),
        made_up("2026-11-20"),
        made_up("2026-10-31", None, None),
        made_up("2026-12-01", None, None),
        made_up("yesterday", None, None),
        made_up(20, None, None),
        made_up("2026-11-20", None, "0" * 32),
        made_up("2026-11-20", "noon", "0" * 32),
        made_up("2026-11-20", "2026-11-19T00:00:00+00:00", None),
        made_up("2026-11-20", "0001-01-01T00:00:00+14:00", None),
        made_up("2026-11-20", "2026-11-20T00:00:00+00:00", 7),
        made_up("2026-11-20", "2026-11-20T00:00:00+00:00", "other#0123"),
        made_up("2026-11-20", "2026-11-20T00:00:00+00:00", ["0"]),
    ],
)
def test_a_cursor_that_no_page_ended_with_is_a_400(
    read: Callable[..., tuple[int, Any]], cursor: str
) -> None:
    status, answer = read(next_=cursor)
    assert (status, answer["error"]["field"]) == (400, "next")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("decision", "bad"), ("category", "No Such"), ("panel", ""), ("panel", "x" * 65)),
        *(("policy", "a#b"), ("language", "english"), ("limit", "0"), ("limit", "101")),
        *(("from", "yesterday"), ("to", "2020-01-01"), ("limit", "1e1")),
        *(("from", "2026-11-20T12:00:00"), ("to", "2026-11-20T12:00:00 09:00")),
        *(("to", "2026-11-01T00:00:00Z"), ("to", "2028-11-20T00:00:00Z"), ("from", "x" * 65)),
        *(("to", "0001-01-01T00:00:00Z"), ("to", "9999-12-31"), ("from", ""), ("to", "")),
    ],
)
def test_a_query_of_junk_is_a_400_that_names_its_field(
    read: Callable[..., tuple[int, Any]], field: str, value: str
) -> None:
    status, answer = read(**{field: value})
    assert (status, answer["error"]["field"]) == (400, field)
