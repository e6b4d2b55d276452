"""Unicode as it can be stored and sent."""

from hypothesis import given
from hypothesis import strategies as st
from quorum.core.unicode import without_surrogates


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
