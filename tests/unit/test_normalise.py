"""The text that a reader sees, and a count of what was hidden."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.normalise import Normalised, normalise


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("he\u200bl\u2060lo", Normalised(text="hello", hidden=2)),
        ("\ufeffhello\u00ad", Normalised(text="hello", hidden=2)),
        ("hi\U000e0073\U000e0061", Normalised(text="hi", hidden=2)),
        ("\u202eolleh\u202c world", Normalised(text="hello world", reversed=5)),
        ("see \u202eolleh", Normalised(text="see hello", reversed=5)),
        ("\u2067hello\u2069", Normalised(text="hello", hidden=2)),
        ("раypаl", Normalised(text="paypal", disguised=3)),
        ("ΗELLO", Normalised(text="HELLO", disguised=1)),
        ("so сосо is here", Normalised(text="so coco is here", disguised=4)),
        ("nісе օnе", Normalised(text="nice one", disguised=5)),
        ("ᎬᎪᎡ", Normalised(text="ᎬᎪᎡ")),
        ("🅷🅸 🅣🅗🅔🅡🅔 🅰", Normalised(text="HI THERE 🅰")),
        ("ɢᴏᴏᴅ ᴍᴏʀɴɪɴɢ", Normalised(text="good morning")),
        ("ａｂｃ 𝓱𝓲", Normalised(text="abc hi")),
        ("  a \n\t b  ", Normalised(text="a b")),
        ("e\u0301", Normalised(text="é")),
        ("half \ud83d", Normalised(text="half ?")),
    ],
)
def test_a_trick_is_undone_and_counted(written: str, seen: Normalised) -> None:
    assert normalise(written) == seen


@pytest.mark.parametrize(
    "written",
    [
        "Привет, мир",
        "Сосна и сахар",
        "Мы едем в London, а не в Рим",
        "ΑΒΓ",
        "한국어 문장",
        "👨‍👩‍👧 🏳️‍🌈",
        "می‌خواهم",
        "क्‍ष",
        "Straße, naïve café",
        "SHOUTING",
    ],
)
def test_what_only_looks_like_a_trick_is_not_counted(written: str) -> None:
    seen = normalise(written)
    assert seen.tricks == ""
    assert seen.text.replace("\ufe0f", "") == written.replace("\ufe0f", "")


def test_tricks_are_told_in_words() -> None:
    assert normalise("a\u200bb раypal").tricks == (
        "1 characters invisible, 2 characters from another alphabet"
    )


@given(st.text())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = normalise(text).text
    assert normalise(once) == Normalised(text=once)


@given(st.text(alphabet="abc d", min_size=1), st.integers(min_value=0))
def test_a_zero_width_character_anywhere_shares_the_vote(text: str, position: int) -> None:
    at = position % (len(text) + 1)
    assert normalise(f"{text[:at]}\u200b{text[at:]}").text == normalise(text).text


@given(st.text(st.characters(max_codepoint=127)))
def test_a_text_in_ascii_is_read_as_it_is_beside_other_letters(text: str) -> None:
    found, beside = normalise(text), normalise(f"é {text}")
    assert f"é {found.text}".strip() == beside.text
    assert (found.hidden, found.reversed, found.disguised) == (beside.hidden, 0, 0)
