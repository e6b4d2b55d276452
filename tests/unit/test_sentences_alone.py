"""A hostile sentence behind friendly ones: `meaning` does not call the whole safe."""

import pytest
from embedded import meaning
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content, Decision

HOSTILE = {
    "Thanks for the recipe. Also, I hope you die of cancer.": "en",
    "Thanks for the recipe, my kids loved it. Everyone would be happier if you were dead.": "en",
    "Спасибо за рецепт, дети в восторге. Тебя надо расстрелять.": "ru",
    "Спасибо за рецепт. Надеюсь, ты умрёшь от рака.": "ru",
}
FRIENDLY = {
    "Thanks for the recipe. My kids loved it! We will make it again.": "en",
    "Great product. It arrived on time. I would buy it again. Thanks for the service.": "en",
    "Vielen Dank für die Hilfe. Das Paket ist heute angekommen.": "de",
    "레시피 감사합니다. 아이들이 좋아했어요.": "ko",
}


def voted(text: str, language: str) -> CastVote | Abstention:
    return meaning.vote(Content(text=text, language=language))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_with_an_unsafe_sentence_is_not_called_safe(text: str) -> None:
    vote = voted(text, HOSTILE[text])
    assert isinstance(vote, Abstention)
    assert (vote.reason, vote.detail) == (
        AbstentionReason.UNLIKE_TRAINING,
        meaning.UNSAFE_SENTENCE,
    )


@pytest.mark.parametrize("text", FRIENDLY)
def test_several_friendly_sentences_are_safe(text: str) -> None:
    vote = voted(text, FRIENDLY[text])
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.SAFE


def test_what_is_quoted_in_one_of_several_sentences_does_not_count() -> None:
    vote = voted('He wrote: "I hope you die". We helped the boy and he is fine today.', "en")
    assert not (isinstance(vote, Abstention) and vote.detail == meaning.UNSAFE_SENTENCE)


@pytest.mark.parametrize("place", [0, 5, 20])
def test_each_of_twenty_sentences_is_read(place: int) -> None:
    calm = ["The train to the coast leaves at nine."] * 20
    assert isinstance(voted(" ".join(calm), "en"), CastVote)
    text = " ".join([*calm[:place], "I hope you die of cancer.", *calm[place:]])
    vote = voted(text, "en")
    assert isinstance(vote, Abstention)
    assert vote.detail == meaning.UNSAFE_SENTENCE
