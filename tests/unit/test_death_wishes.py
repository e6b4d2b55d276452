"""Wishes that somebody dies, bare or after friendly words, and codes in numbers."""

import pytest
from embedded import characters, meaning, rules
from quorum.core.models import Content, Decision
from quorum.vote.panel import packaged
from quorum.vote.policy import DEFAULT
from quorum.vote.policy_reading import read_through
from quorum.vote.tally import tally

VOTERS = (rules, characters, meaning)


def _decision(text: str) -> Decision:
    content = Content(text=text)
    votes = read_through(DEFAULT, [voter.vote(content) for voter in VOTERS])
    return tally(packaged("embedded"), votes, None, final=True).decision


@pytest.mark.parametrize(
    "text",
    [
        *("Die!", "just die", "Thanks. Just die.", "uninstall life", "Stirb!", "Muérete", "Muere"),
        *("Crepa", "Crève !", "Morra!", "Умри", "去死", "죽어", "그냥 죽어ㅋㅋ", "मरो", "مت"),
        *("1488", "14/88", "HH 88"),
        *("Thanks for the recipe. Also, I hope you die of cancer.", "You should be shot."),
        *("Everyone would be happier if you were dead.", "Du solltest erschossen werden."),
        *("Тебя надо расстрелять.", "Надеюсь, ты умрёшь от рака."),
        *("Ojalá te atropelle un tren.", "J'espère que tu vas mourir.", "Spero che tu muoia."),
        *(
            "Tomara que você morra.",
            "희망이 없네. 네가 죽었으면 좋겠어.",
            "希望你死",
            "أتمنى أن تموت",
        ),
    ],
)
def test_a_wish_that_somebody_dies_is_never_safe(text: str) -> None:
    assert _decision(text) is not Decision.SAFE


def _mentions(text: str, language: str) -> bool:
    vote = rules.vote(Content(text=text, language=language))
    return getattr(vote, "decision", None) is not None


@pytest.mark.parametrize(
    ("text", "language"),
    [
        *(("Die Katze schläft.", "de"), ("Die Katze, die schläft.", "de")),
        *(("The plants die in winter.", "en"), ("Roll the die again.", "en")),
        *(("배고파 죽어도 좋아", "ko"), ("죽어도 좋아", "ko"), ("눈 내리는 밤", "ko")),
        *(("Muere el actor de la serie.", "es"), ("In 1488 Dias sailed around the cape.", "en")),
        *(("It costs 1488 dollars.", "en"), ("Он умрил свой пыл", "ru"), ("88", "en")),
    ],
)
def test_the_same_words_within_a_sentence_are_no_wish(text: str, language: str) -> None:
    assert not _mentions(text, language)
