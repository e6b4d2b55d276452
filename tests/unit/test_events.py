"""Server-sent events, however they are cut up on the way."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway.sse import EventReader

STREAM = (
    "\ufeff: a comment\r\n\r\ndata: one\r\nid: 7\r\n\r\n:keep-alive\n\ndata:two\ndata: lines\n\n"
    "event: x\rdata\r\rdata: 한\u2028글\n\ndata: unfinished\n"
).encode()
EVENTS = ["one", "two\nlines", "", "한\u2028글"]


def test_comments_lines_of_all_kinds_and_several_data_lines_are_read() -> None:
    assert EventReader().feed(STREAM) == EVENTS


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM))))
def test_where_the_network_cuts_makes_no_difference(cuts: list[int]) -> None:
    reader = EventReader()
    edges = [0, *sorted(cuts), len(STREAM)]
    found: list[str] = []
    for start, end in pairwise(edges):
        found += reader.feed(STREAM[start:end])
    assert found == EVENTS


def test_an_event_without_its_blank_line_is_not_given() -> None:
    assert EventReader().feed(b"data: [DONE]\n") == []
