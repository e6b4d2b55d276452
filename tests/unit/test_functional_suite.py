"""The embedded panel on sentences of known kinds: what it decides, it decides rightly.

`python -m training.functional` prints the same counts as tables.
"""

from collections import Counter

import pytest
from quorum.core.models import Content, Decision
from quorum.vote.language import with_language
from quorum.vote.panel import packaged

from training import functional

PANEL = packaged("embedded")
MOST_WRONG = 1
LEAST_RIGHT = 84
MOST_OF_A_KIND = 1
MOST_PASSED = 0
"""Counts measured when texts that name a group of people were no longer called safe and languages
without evidence got stricter thresholds (decision 43: fewer are decided, and at most 5 % of any set
kept apart wrongly): a change may improve on them, never fall behind."""
LANGUAGES = {"en", "de", "es", "ru", "zh", "ar", "hi", "ko"}


@pytest.fixture(scope="module")
def decided() -> list[functional.Decided]:
    return [functional.decide(sentence, PANEL) for sentence in functional.read()]


def test_the_suite_has_every_kind_in_every_language() -> None:
    kinds: dict[str, set[str]] = {}
    for sentence in functional.read():
        kinds.setdefault(sentence.kind, set()).add(sentence.language)
    assert {kind for kind, spoken in kinds.items() if spoken < LANGUAGES} == set()


def test_no_sentence_is_in_the_suite_twice() -> None:
    texts = [sentence.text for sentence in functional.read()]
    assert len(texts) == len(set(texts)) > 300


def test_few_sentences_are_decided_wrongly(decided: list[functional.Decided]) -> None:
    counts = Counter(each.outcome for each in decided)
    assert counts["wrong"] <= MOST_WRONG
    assert counts["right"] >= LEAST_RIGHT


@pytest.mark.parametrize("kind", ["animals", "quotation", "counter_speech", "negation", "plain"])
def test_harmless_sentences_are_safe_or_go_to_a_person(
    decided: list[functional.Decided], kind: str
) -> None:
    of_kind = [each for each in decided if each.sentence.kind == kind]
    wrong = [each.sentence.text for each in of_kind if each.outcome == "wrong"]
    assert len(wrong) <= MOST_OF_A_KIND, wrong


@pytest.mark.parametrize(
    "kind",
    ["insult", "slur", "threat", "hate", "self_harm", "instructions", "request_harmful"],
)
def test_abuse_is_never_safe(decided: list[functional.Decided], kind: str) -> None:
    passed = [each.sentence.text for each in decided if each.sentence.kind == kind]
    safe = {each.sentence.text for each in decided if each.decision is Decision.SAFE}
    assert len(safe.intersection(passed)) <= MOST_PASSED, safe.intersection(passed)


UNTOLD = [
    (Decision.SAFE, "Our dog is so sweet, he sleeps all day."),
    (Decision.SAFE, "मेरी बिल्ली बहुत प्यारी है।"),
    (Decision.SAFE, "Nobody in this room thinks you are stupid."),
    (Decision.SAFE, "A classic assassin story with a clever bass line."),
    (Decision.SAFE, "새끼 강아지가 엄마 옆에서 자고 있어요."),
    (Decision.SAFE, "시발점은 서울역이고 종점은 부산역입니다."),
    (Decision.SAFE, "Please do not call anybody a whore."),
    (Decision.SAFE, "I died three times before I beat that boss."),
    (Decision.UNSAFE, "야 이 ㅅㅂ 놈아"),
    (Decision.UNSAFE, "ㅄ 같은 소리 하네"),
    (Decision.UNSAFE, "안녕하세요 you stupid bitch"),
    (Decision.UNSAFE, "I know which bus you take, and tonight you will pay for it with blood."),
    (Decision.UNSAFE, "you are a f*cking 1diot"),
]
"""Kinds of texts that people reported such products to get wrong; their language is not told."""


@pytest.mark.parametrize(("expected", "text"), UNTOLD)
def test_what_people_report_is_right_or_goes_to_a_person(expected: Decision, text: str) -> None:
    language = with_language(Content(text=text)).language or ""
    outcome = functional.decide(functional.Sentence("field", language, expected, text), PANEL)
    assert outcome.outcome != "wrong"
