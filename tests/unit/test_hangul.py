"""Korean letters as a keyboard types them, and joined to syllables."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core import hangul
from quorum.core.normalise import Normalised, normalise
from quorum.gateway.tokenizer import count_text


@pytest.mark.parametrize(
    "typed",
    ["ㅋㅋㅋ", "ㅎㅎ 네", "ㅜㅜ 아쉽다", "ㅇㅇ", "ㄱㅅ", "ㅂㅅ", "ㅄ", "ㅈㄹ", "ㅗ", "ㅡㅡ"],
)
def test_single_letters_stay_as_they_were_typed(typed: str) -> None:
    assert normalise(typed) == Normalised(text=typed)


@pytest.mark.parametrize(
    "typed", ["ㅋㅋㅠㅠ", "ㅋㅠ", "ㅎㅜㅎㅜ", "ㅇㅅㅇ", "ㅇㅡㅇ", "ㅇㅗㅇ", "ㅠㅁㅠ", "ㅎㅏ"]
)
def test_laughter_faces_and_a_syllable_alone_are_not_put_together(typed: str) -> None:
    assert normalise(typed).text == typed


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("ㅎㅏㄴㄱㅡㄹ", "한글"),
        ("ㅇㅏㄴㄴㅕㅇㅎㅏㅅㅔㅇㅛ", "안녕하세요"),
        ("ㅂㅏㅂㅗ", "바보"),
        ("바ㅂㅗ야", "바보야"),
        ("ㄱㅗㅏㅇㅣㄹ", "과일"),
        ("ㄱㅏㅂㅅㅇㅣ", "값이"),
        ("ㅇㅗㅐ ㄱㅡㄹㅐ", "ㅇㅗㅐ 그래"),
        ("ﾾﾡﾤﾡ", "ㅎㄱㄴㄱ"),
        ("ﾾￂﾤﾡￚﾩ", "한글"),
        ("ﾻﾻﾻ", "ㅋㅋㅋ"),
        ("\u1109\u1107", "ㅅㅂ"),
        ("㉠㉡", "ㄱㄴ"),
        ("㈀", "(ㄱ)"),
    ],
)
def test_other_forms_of_letters_become_what_a_keyboard_types(typed: str, read: str) -> None:
    assert normalise(typed).text == read


@pytest.mark.parametrize("text", ["한글", "안녕하세요, 값이 얼마예요?", "꽃잎 뷁"])
def test_decomposed_syllables_are_composed(text: str) -> None:
    assert normalise(unicodedata.normalize("NFD", text)).text == text


@pytest.mark.parametrize("text", ["ᄒᆞᆫ글", "나랏말ᄊᆞ미"])
def test_old_korean_keeps_its_letters(text: str) -> None:
    assert normalise(text).text == text


def test_letters_as_typed_cost_a_model_no_more_tokens_than_what_was_sent() -> None:
    typed = "ㅋㅋㅋㅋㅋㅋ ㅠㅠ ㅇㅋ"
    assert count_text(normalise(typed).text) == count_text(typed)
    assert count_text(normalise(typed).text) < count_text(unicodedata.normalize("NFKC", typed)) / 2


@given(st.text(alphabet="가힣갂뷁아에이"))
def test_syllables_taken_apart_and_joined_are_the_same(text: str) -> None:
    apart = "".join(_letters(syllable) for syllable in text)
    if len(text) > 1:
        assert hangul.joined(apart) == text


def _letters(syllable: str) -> str:
    return hangul.as_typed(
        "".join(f"{letter}\u200b" for letter in unicodedata.normalize("NFD", syllable))
    ).replace("\u200b", "")


@given(st.text(alphabet="ㅅㅂㅏㅣㅗㅋㅠㅇㅥㆍ가각ᆺᄓᆞᄀﾻￂ a\u3164\u115f\u200d\u0301㉠"))
def test_normalising_korean_letters_twice_changes_nothing(text: str) -> None:
    once = normalise(text).text
    assert normalise(once) == Normalised(text=once)
