"""How large a content may be once it is normalised."""

import pytest
from pydantic import ValidationError
from quorum.core.models import CONTENT_LIMIT
from quorum.core.rejection import Rejection, rejection
from quorum.vote.requests import VerdictRequest
from quorum.vote.size import TOKEN_LIMIT, too_large


def _rejected(content: str) -> Rejection:
    with pytest.raises(ValidationError) as caught:
        VerdictRequest(content=content)
    return rejection(caught.value)


@pytest.mark.parametrize(
    "content",
    ["\ufdfa" * CONTENT_LIMIT, "\ufdfa" * 2_000, "㍿" * 10_000, "ﬃ" * CONTENT_LIMIT, "⑽" * 12_000],
    ids=["a phrase in one character", "a few of them", "a company", "a ligature", "a number"],
)
def test_characters_that_become_many_are_counted_as_many(content: str) -> None:
    rejected = _rejected(content)
    assert (rejected.field, rejected.limit) == ("content", CONTENT_LIMIT)
    assert str(CONTENT_LIMIT) in rejected.message


@pytest.mark.parametrize(
    "content",
    ["𐍈" * 20_000, "ꙮ" * CONTENT_LIMIT, "\U0001f9ff𐎀" * 16_000],
    ids=["gothic", "one letter of one manuscript", "rare emoji and cuneiform"],
)
def test_characters_that_cost_several_tokens_each_are_bounded_by_their_tokens(
    content: str,
) -> None:
    rejected = _rejected(content)
    assert (rejected.code, rejected.field) == ("invalid_content", "content")
    assert rejected.limit == TOKEN_LIMIT
    assert "tokens (o200k_base)" in rejected.message


@pytest.mark.parametrize(
    "sentence",
    [
        "The garden was quiet and the tea was warm. ",
        "오늘은 날씨가 좋아서 공원을 걸었습니다. ",
        "今天天气很好，我们去公园散步吧。",
        "Сегодня хорошая погода, и мы гуляли. ",
        "ㅋㅋㅋㅋ ㅠㅠ ",
        "\u200b",
    ],
)
def test_plain_text_of_the_full_length_is_taken(sentence: str) -> None:
    assert too_large((sentence * CONTENT_LIMIT)[:CONTENT_LIMIT]) is None


def test_a_rejection_quotes_nothing_of_the_content() -> None:
    assert "secret" not in _rejected("secret" + "\ufdfa" * 2_000).message
