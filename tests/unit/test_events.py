"""Server-sent events, however they are cut up on the way."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway.sse import EVENT_BYTES, Event, EventReader

STREAM = (
    "\ufeff: a comment\r\n\r\ndata: one\r\nid: 7\r\n\r\n:keep-alive\n\ndata:two\ndata: lines\n\n"
    "event: x\rdata\r\revent: error\ndata: 한\u2028글\n\ndata:\n\ndata: unfinished\n"
).encode()
EVENTS = [Event("one"), Event("two\nlines"), Event("한\u2028글", "error")]


def test_comments_lines_of_all_kinds_and_several_data_lines_are_read() -> None:
    assert EventReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM))))
def test_where_the_network_cuts_makes_no_difference(cuts: list[int]) -> None:
    reader = EventReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    found: list[Event] = []
    for start, end in pairwise(edges):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_an_event_without_its_blank_line_is_given_only_at_the_end(end: str) -> None:
    reader = EventReader()
    fed = reader.feed(f"data: [DONE]{end}".encode())
    assert fed == ([Event("[DONE]")] if end == "\n\n" else [])
    assert fed + reader.close() == [Event("[DONE]")]


@pytest.mark.parametrize(
    "empty", ["data:\n\n", "data\n\n", ": ping\n\n", "event: ping\n\n", "\n\n\n"]
)
def test_what_has_no_data_is_no_event(empty: str) -> None:
    events = EventReader().feed(f"{empty}data: one\n\n".encode())
    assert [event.data for event in events] == ["one"]


def test_a_name_belongs_to_its_own_event_only() -> None:
    events = EventReader().feed(b"event: error\n\ndata: one\n\n")
    assert events == [Event("one")]


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000, b"data: x\n" * 200])
def test_an_event_without_end_is_not_held_without_end(line: bytes) -> None:
    reader = EventReader()
    for _ in range(2 * EVENT_BYTES // 200):
        reader.feed(line)
        if reader.overlong:
            break
    assert reader.overlong
    assert reader.feed(b"\n\ndata: one\n\n") == []


def test_a_long_line_in_single_bytes_is_read_in_linear_time() -> None:
    reader = EventReader()
    started = time.perf_counter()
    for _ in range(200_000):
        reader.feed(b"x")
    assert time.perf_counter() - started < 5
