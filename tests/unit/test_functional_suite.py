"""The embedded panel on sentences of known kinds: what it decides, it decides rightly.

`python -m training.functional` prints the same counts as tables.
"""

from collections import Counter

import pytest
from quorum.core.models import Decision
from quorum.vote.panel import packaged

from training import functional

PANEL = packaged("embedded")
MOST_WRONG = 10
LEAST_RIGHT = 141
MOST_OF_A_KIND = 2
MOST_PASSED = 0
"""Counts measured when the suite was written: a change may improve on them, never fall behind."""
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


@pytest.mark.parametrize("kind", ["insult", "slur", "threat", "self_harm", "instructions"])
def test_abuse_is_never_safe(decided: list[functional.Decided], kind: str) -> None:
    passed = [each.sentence.text for each in decided if each.sentence.kind == kind]
    safe = {each.sentence.text for each in decided if each.decision is Decision.SAFE}
    assert len(safe.intersection(passed)) <= MOST_PASSED, safe.intersection(passed)
