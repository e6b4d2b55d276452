"""How many tokens a text is."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway import tokenizer


def test_the_vocabulary_is_o200k_base_and_needs_no_network() -> None:
    # the counts OpenAI's cookbook gives for o200k_base
    assert tokenizer.count_text("antidisestablishmentarianism") == 6
    assert tokenizer.count_text("2 + 2 = 4") == 7
    assert tokenizer.count_text("お誕生日おめでとう") == 8


def test_special_tokens_in_a_content_are_plain_text() -> None:
    assert tokenizer.count_text("<|endoftext|>") > 1


def test_messages_have_their_wrapping_counted() -> None:
    messages = [{"role": "user", "content": "hello"}, {"role": "user", "content": "hello"}]
    assert tokenizer.count(messages) == 2 * (1 + 4) + 3


@given(st.text(max_size=300))
def test_no_count_exceeds_the_bound(text: str) -> None:
    messages = [{"role": "user", "content": text}]
    assert tokenizer.count(messages) <= tokenizer.at_most(messages)


def test_the_estimate_of_prose_is_cautious_but_not_wild() -> None:
    for prose in (
        "The quick brown fox jumps over the lazy dog while everyone else has gone home. " * 5,
        "오늘은 날씨가 정말 좋아서 친구들과 함께 공원에서 점심을 먹기로 했습니다. " * 5,
        "Сегодня прекрасная погода, и мы решили пообедать в парке вместе с друзьями. " * 5,
    ):
        messages = [{"role": "user", "content": prose}]
        exact = tokenizer.count(messages)
        assert exact <= tokenizer.estimate(messages) <= 2.2 * exact


LONG = 250_000
HARD = {
    "blanks": " " * LONG,
    "blanks with a letter now and then": (" " * 39_999 + "x") * 6,
    "blanks up to the cut": (" " * 255 + "x") * 1_000,
    "blanks and a line end": " " * LONG + "\n",
    "line ends": "\n" * LONG,
    "blanks and line ends": " \n" * (LONG // 2),
    "wide blanks": "\u3000" * (LONG // 3),
    "one small letter": "a" * LONG,
    "one capital": "A" * LONG,
    "capitals and small letters": "Aa" * (LONG // 2),
    "a sequence": "GATTACA" * (LONG // 7),
    "Hangul": "각" * (LONG // 3),
    "single jamo": "ㅋ" * (LONG // 3),
    "Chinese": "字" * (LONG // 3),
    "marks on one letter": "a" + "\u0301" * (LONG // 2),
    "exclamation marks": "!" * LONG,
    "signs and line ends": "!" + "/\n" * (LONG // 2),
    "zero-width joiners": "\u200d" * (LONG // 3),
    "emoji": "🎉" * (LONG // 4),
    "digits": "7" * LONG,
    "apostrophes": "a'" * (LONG // 2),
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_a_quarter_of_a_megabyte_of_anything_is_counted_at_once(text: str) -> None:
    tokenizer.count_text("the vocabulary is loaded")
    begun = time.process_time()
    assert 0 < tokenizer.count_text(text) <= len(text.encode())
    # 0.02 s to 0.2 s in fact; what was not linear took ten seconds and more
    assert time.process_time() - begun < 1


@given(st.text("aB각!\n \u0301", max_size=600), st.sampled_from("aB각! \n"), st.integers(0, 3_000))
def test_a_cut_changes_a_count_by_a_few_tokens_at_most(
    text: str, repeated: str, times: int
) -> None:
    long = text + repeated * times + text
    whole = len(tokenizer._encoding().encode_ordinary(long))  # noqa: SLF001 - what is compared with
    assert abs(tokenizer.count_text(long) - whole) <= 6 * (len(long) // 256)
    if len(long) <= 256:
        assert tokenizer.count_text(long) == whole


@pytest.mark.parametrize("blank", [" ", "\n", "\t \r\n"])
def test_a_text_of_a_million_blanks_is_counted_too(blank: str) -> None:
    assert 0 < tokenizer.count_text("a" + blank * 1_000_000 + "b") < 4_100_000
