"""How many tokens a text is."""

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


@pytest.mark.parametrize("blank", [" ", "\n", "\t \r\n"])
def test_a_text_of_a_million_blanks_is_counted_too(blank: str) -> None:
    assert 0 < tokenizer.count_text("a" + blank * 1_000_000 + "b") < 4_100_000
