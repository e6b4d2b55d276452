"""The Python client's list of stored verdicts: its filters and its pages."""

import asyncio
from datetime import date, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from quorum_client import AsyncQuorum, Decision
from tests.unit.test_client import AT_ONCE, URL, VERDICT, client, in_turn


def listed(*ids: str, following: str | None = None) -> httpx.Response:
    verdicts = [VERDICT | {"id": one} for one in ids]
    return httpx.Response(200, json={"verdicts": verdicts, "next": following})


FILTERS: dict[str, Any] = {
    "start": datetime(2026, 11, 27, 9, 30, tzinfo=timezone(timedelta(hours=9))),
    "end": date(2026, 11, 28),
    "decision": Decision.UNSAFE,
    "metadata": {"thread": 7, "forum": "a=b", "hot": True},
}


@pytest.mark.parametrize("kind", ["synchronous", "asynchronous"])
def test_stored_verdicts_are_listed_page_by_page_with_every_filter(kind: str) -> None:
    answer, seen = in_turn(listed("a", "b", following="p+1"), listed(following="p2"), listed("c"))

    async def asynchronously() -> list[str]:
        transport = httpx.MockTransport(answer)
        async with AsyncQuorum(URL, key="qk_key", retries=AT_ONCE, transport=transport) as quorum:
            return [verdict.id async for verdict in quorum.verdicts(**FILTERS)]

    if kind == "synchronous":
        with client(answer) as quorum:
            found = [verdict.id for verdict in quorum.verdicts(**FILTERS)]
    else:
        found = asyncio.run(asynchronously())
    assert found == ["a", "b", "c"]
    asked = [
        ("decision", "unsafe"),
        ("from", "2026-11-27T09:30:00+09:00"),
        ("to", "2026-11-28"),
        *(("metadata", entry) for entry in ("thread=7", "forum=a=b", "hot=true")),
    ]
    following: list[list[tuple[str, str]]] = [[], [("next", "p+1")], [("next", "p2")]]
    assert [request.url.params.multi_items() for request in seen] == [
        asked + more for more in following
    ]


@pytest.mark.parametrize(
    ("metadata", "sent"),
    [
        ("thread", ["thread"]),
        (["thread", "forum=cats"], ["thread", "forum=cats"]),
        ({"mood": "\ud83d"}, ["mood=?"]),
        ([7], ["7"]),
        ([], []),
    ],
)
def test_metadata_may_be_filtered_by_names_alone(metadata: Any, sent: list[str]) -> None:
    answer, seen = in_turn(listed())
    with client(answer) as quorum:
        assert list(quorum.verdicts(metadata=metadata)) == []
    assert seen[0].url.params.get_list("metadata") == sent


@pytest.mark.parametrize("name", ["start", "end"])
def test_a_time_without_a_zone_is_not_guessed(name: str) -> None:
    moment: Any = {name: datetime(2026, 11, 27, 9, 30)}  # noqa: DTZ001 - that is what is refused
    with client(in_turn()[0]) as quorum, pytest.raises(ValueError, match=f"^{name}: a time needs"):
        quorum.verdicts(**moment)
