"""Sentences of a text, with offsets in UTF-16 code units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.vote.sentences import spans, units


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One sentence", ["One sentence"]),
        ("Thanks.  You are an idiot!", ["Thanks.", "You are an idiot!"]),
        ("\t(Really?) Yes…\n\nno", ["(Really?)", "Yes…", "no"]),
        ("version 1.2 of example.com", ["version 1.2 of example.com"]),
        ("你好。你是白痴！」哈哈", ["你好。", "你是白痴！」", "哈哈"]),
        ("आप मूर्ख हैं। धन्यवाद", ["आप मूर्ख हैं।", "धन्यवाद"]),
        ("...", ["..."]),
        (" \n\u2028 ", []),
    ],
)
def test_a_text_is_cut_after_its_sentences_and_lines(text: str, sentences: list[str]) -> None:
    assert [span.text for span in spans(text, 100)] == sentences


def test_offsets_count_an_emoji_twice_and_leave_white_space_out() -> None:
    found = spans("Hi 👍. You 👩‍🚀 idiot! ", 100)
    assert [(span.begin, span.end) for span in found] == [(0, 6), (7, 23)]
    assert units("👍") == 2
    assert units("é") == 1


@given(
    st.lists(st.sampled_from([*".!?。\n )’", "word", "👍", "字", "\U0010ffff"])).map("".join),
    st.integers(min_value=1, max_value=5),
)
def test_spans_are_in_order_hold_all_that_is_visible_and_are_at_most_the_limit(
    text: str, limit: int
) -> None:
    encoded = text.encode("utf-16-le")
    found = spans(text, limit)
    assert len(found) <= limit
    position = 0
    for span in found:
        assert not encoded[2 * position : 2 * span.begin].decode("utf-16-le").strip()
        assert encoded[2 * span.begin : 2 * span.end].decode("utf-16-le") == span.text
        assert span.text.strip() == span.text != ""
        position = span.end
    assert not encoded[2 * position :].decode("utf-16-le").strip()
