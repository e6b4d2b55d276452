"""Passages that may be meant harmlessly: what is read over, and what the voters make of it."""

from types import ModuleType

import pytest
from embedded import characters, meaning, rules, senses
from embedded.calibration import LEAST_DOUBT
from quorum.core.models import Abstention, CastVote, Content, Decision


@pytest.mark.parametrize(
    ("language", "text", "rest"),
    [
        ("en", 'She wrote "you are an idiot" on the wall.', "She wrote on the wall."),
        ("en", "You are not stupid at all.", "You are at all."),
        ("en", "Stop calling girls whores.", "."),
        ("en", "Please do not call anybody an idiot.", "Please ."),
        ("ru", "Не надо называть людей дураками.", "."),
        ("ko", "친구를 바보라고 부르지 맙시다.", ""),
        ("en", "The bitch and her puppies sleep.", "The and her puppies sleep."),
        ("en", "You can kill the server process.", "You can ."),
        ("en", "First reap the child, then send SIGTERM.", "First , then send ."),
        ("en", "We will crush them at football.", "We will ."),
        ("de", "Du bist kein Idiot.", "Du bist ."),
        ("es", "Nadie es idiota aquí.", "."),
        ("ru", "Он не дурак.", "Он ."),
        ("zh", "他不是笨蛋。", "他 。"),
        ("ar", "أنت لست غبيا.", "أنت"),
        ("hi", "वह बेवकूफ़ नहीं है।", "।"),
        ("hi", "तुम बेवकूफ़ नहीं हो, बैठो।", ", बैठो।"),
        ("hi", "यहाँ कोई बेवकूफ़ नहीं बैठा।", "यहाँ कोई बैठा।"),
        ("ko", "너는 바보가 아니야.", "너는"),
        ("ko", "새끼 판다가 태어났다.", "판다가 태어났다."),
        ("xx", "«idiot»", ""),
    ],
)
def test_such_a_passage_is_read_over(language: str, text: str, rest: str) -> None:
    assert senses.without(text, language) == rest


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "You stupid bitch, shut up."),
        ("en", "I will kill you."),
        ("de", "Du Schwein!"),
        ("ko", "이 개새끼가 진짜"),
        ("ko", "저 새끼 때문에 짜증나"),
        ("ru", "Ты сука."),
    ],
)
def test_plain_abuse_holds_none(language: str, text: str) -> None:
    assert senses.without(text, language) is None


@pytest.mark.parametrize("voter", [characters, meaning], ids=lambda voter: voter.VOTER)
def test_a_trained_voter_is_not_sure_where_only_such_a_passage_is_unsafe(voter: ModuleType) -> None:
    said = 'My son read "you stupid fucking idiot" on a wall and asked me about it.'
    vote = voter.vote(Content(text=said, language="en"))
    assert isinstance(vote, Abstention) or vote.confidence == senses.UNSURE
    shouted = 'He said "you bastard". Shut up, you stupid fucking idiot, I hate you.'
    vote = voter.vote(Content(text=shouted, language="en"))
    assert vote.decision is Decision.UNSAFE
    assert senses.UNSURE < vote.confidence <= 1 - LEAST_DOUBT


def test_a_listed_word_in_such_a_passage_asks_for_a_person() -> None:
    vote = rules.vote(Content(text="The bitch had a litter of puppies.", language="en"))
    assert isinstance(vote, CastVote)
    assert (vote.decision, vote.scores) == (Decision.NEEDS_REVIEW, {})
    vote = rules.vote(Content(text="The bitch had a litter, you bastard.", language="en"))
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.UNSAFE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "One day I will stab you."),
        ("de", "Ich bring dich um!"),
        ("es", "Te voy a matar."),
        ("ru", "Я тебя убью."),
        ("zh", "我要打死你"),
        ("ar", "سأقتلك"),
        ("hi", "तुझे मार दूँगा"),
        ("ko", "칼로 찔러 죽일 거야"),
    ],
)
def test_a_threat_without_a_listed_word_asks_for_a_person(language: str, text: str) -> None:
    vote = rules.vote(Content(text=text, language=language))
    assert isinstance(vote, CastVote)
    assert vote.decision in {Decision.NEEDS_REVIEW, Decision.UNSAFE}
