"""Texts that name a group of people: no small voter tells who says what of whom."""

import json

import pytest
from embedded import groups, meaning
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content, Decision

LISTED: dict[str, list[str]] = json.loads(groups.GROUPS.read_text(encoding="utf-8"))
NAMED = {
    "ar": "يعيش المسلمون والمسيحيون في هذا الحي",
    "de": "Die Muslime in unserer Straße grüßen nie.",
    "en": "Gay people are not welcome at our table.",
    "es": "Los gitanos viven al otro lado del río.",
    "hi": "मुसलमान यहाँ रहते हैं",
    "ja": "隣に外国人が住んでいます。",
    "ko": "우리 동네에는 외국인이 많아요.",
    "ru": "Мигранты живут в соседнем доме.",
    "zh": "黑人住在隔壁。",
}
OTHERS = {
    "de": "Die Nachbarn in unserer Straße grüßen nie.",
    "en": "The womanizer in this novel ordered a Chinese tea in Polen.",
    "es": "Los vecinos viven al otro lado del río.",
    "ko": "게이트 앞에서 만나요.",
    "ru": "Неграмотность исчезает.",
    "zh": "我的邻居住在隔壁。",
}


@pytest.mark.parametrize("language", NAMED)
def test_a_group_is_told_in_each_language(language: str) -> None:
    assert groups.named(NAMED[language], language)


@pytest.mark.parametrize("language", OTHERS)
def test_other_texts_name_none(language: str) -> None:
    assert not groups.named(OTHERS[language], language)


@pytest.mark.parametrize(
    "text", ["m u s l i m s out", "l3sbians are here", "MUSLIMS", "I see 🧕🏽"]
)
def test_disguises_letters_and_emoji_are_told_as_well(text: str) -> None:
    assert groups.named(text, "en")


def test_emoji_are_told_where_no_words_are_listed() -> None:
    assert groups.named("🏳\u200d🌈", "xx")
    assert not groups.named("muslims", "xx")


@given(st.sampled_from([(language, word) for language in LISTED for word in LISTED[language]]))
def test_every_listed_word_is_told_alone(listed: tuple[str, str]) -> None:
    language, word = listed
    assert groups.named(word.replace("*", ""), language)


@pytest.mark.parametrize("language", LISTED)
def test_no_word_is_listed_twice(language: str) -> None:
    assert len(LISTED[language]) == len(set(LISTED[language]))


@pytest.mark.parametrize("language", sorted(NAMED))
def test_meaning_calls_no_text_safe_that_names_a_group(language: str) -> None:
    vote = meaning.vote(Content(text=NAMED[language], language=language))
    assert isinstance(vote, Abstention) or vote.decision is Decision.UNSAFE


def test_the_abstention_says_why() -> None:
    said = "The library opens at nine and {} may borrow books."
    plain = meaning.vote(Content(text=said.format("everybody"), language="en"))
    vote = meaning.vote(Content(text=said.format("women"), language="en"))
    assert isinstance(plain, CastVote)
    assert plain.decision is Decision.SAFE
    assert isinstance(vote, Abstention)
    assert (vote.reason, vote.detail) == (
        AbstentionReason.UNLIKE_TRAINING,
        meaning.NAMES_A_GROUP,
    )


@given(st.floats(0.005, 0.995), st.floats(0.005, 0.995))
def test_what_a_vote_on_a_group_is_worth_grows_with_it_and_is_unsafe_or_none(
    one: float, other: float
) -> None:
    low, high = (meaning.of_a_group(unsafe) for unsafe in sorted((one, other)))
    assert low is None or (high is not None and 0.5 < low <= high)
    assert (high is None) == (max(one, other) < 0.5)
