"""Unicode as it can be stored and sent."""

import json

from hypothesis import given
from hypothesis import strategies as st
from quorum.core.unicode import whole_json, without_surrogates


@given(st.text(st.characters()))
def test_text_without_surrogates_stays_as_it_is_and_all_text_can_be_encoded(text: str) -> None:
    cleaned = without_surrogates(text)
    cleaned.encode()
    if not any("\ud800" <= character <= "\udfff" for character in text):
        assert cleaned == text


def test_half_a_pair_is_replaced_and_two_halves_become_their_character() -> None:
    assert without_surrogates("a\ud83d b") == "a\ufffd b"
    assert without_surrogates("\ud83d\ude00") == "😀"
    assert without_surrogates("\ufeffmark") == "\ufeffmark"


@given(text=st.text(st.characters(exclude_categories=[])), mark=st.booleans())
def test_json_is_read_as_it_was_meant_with_half_a_pair_replaced(*, text: str, mark: bool) -> None:
    sent = (b"\xef\xbb\xbf" if mark else b"") + json.dumps({"a": text}).encode()
    read = json.loads(whole_json(sent))["a"]
    read.encode()
    assert read == without_surrogates(text)


def test_what_only_looks_like_half_a_pair_in_json_stays() -> None:
    for sent in (rb'{"a": "\\ud83d"}', rb'{"a": "\ud83d\ude00"}', rb'{"a": "\u00e9 \D"}', b"\\"):
        assert whole_json(sent) == sent
