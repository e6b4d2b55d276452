"""Texts unlike the training: what `meaning` makes of them, and what the panel makes of that."""

import pytest
from embedded import characters, meaning, rules, unlike
from embedded.calibration import LEAST_DOUBT, Platt
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content, Decision
from quorum.vote.panel import packaged
from quorum.vote.tally import tally

from tests import make

OPINION = unlike.Opinion(
    weights=(0.0, 1.0, 0.0, 0.0, 0.0, 0.0),
    offsets={"": 0.0, "en": 0.5},
    likeness={"en": Platt(1.0, 0.0)},
)
SURE = 30.0
"""Log-odds that are certainty."""


def judged(
    inside: float, *, unsafe: float, request: float = -SURE, like: float = SURE
) -> float | None:
    return OPINION.judged(inside, 0.0, (unsafe, request, like), "en").sure


def test_a_text_like_the_training_has_the_confidence_of_its_language() -> None:
    assert judged(0.2, unsafe=-2.0) == pytest.approx(0.2, abs=0.01)
    assert judged(0.9, unsafe=-2.0) == pytest.approx(0.9, abs=0.01)


def test_a_text_unlike_the_training_has_the_second_opinion() -> None:
    second = OPINION.probability(0.0, (1.0, 0.0, 0.0), "en")
    assert judged(0.01, unsafe=1.0, like=-SURE) == pytest.approx(second, abs=0.01)


def test_between_both_it_is_their_mean() -> None:
    second = OPINION.probability(0.0, (-2.0, 0.0, 0.0), "en")
    assert judged(0.01, unsafe=-2.0, like=0.0) == pytest.approx((0.01 + second) / 2, abs=0.001)


def test_safe_is_never_said_against_the_second_opinion() -> None:
    assert judged(0.01, unsafe=2.0) is None


def test_safe_is_never_said_of_what_may_ask_for_harm() -> None:
    assert judged(0.01, unsafe=-SURE, request=0.1) is None
    assert judged(0.01, unsafe=-SURE, request=-0.1) == pytest.approx(0.01, abs=0.01)


def test_a_language_without_likeness_has_the_second_opinion_alone() -> None:
    second = OPINION.probability(0.0, (-2.0, -1.0, 0.0), "fr")
    assert OPINION.judged(0.9, 0.0, (-2.0, -1.0, SURE), "fr").sure == pytest.approx(second)


@pytest.mark.parametrize(
    ("inside", "expected"), [(0.01, None), (0.49, None), (0.5, 0.5), (0.97, 0.97)]
)
def test_without_a_second_opinion_unsafe_is_said_and_safe_is_not(
    inside: float, expected: float | None
) -> None:
    assert unlike.judged_without(inside).sure == expected
    assert unlike.judged_without(inside).unsafe == inside


def test_no_text_is_safe_in_a_language_that_is_trained_for_but_that_the_encoder_cannot_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = "Thank you for the lovely recipe, my kids enjoyed it."
    trained = meaning.scorer()
    for language in ("en", "de", "es"):
        monkeypatch.setattr(meaning, "ENCODER_LANGUAGES", meaning.ENCODER_LANGUAGES | {language})
        read = trained.judged(text, language).sure
        assert read is not None, language
        assert read < 0.5, language
        monkeypatch.setattr(meaning, "ENCODER_LANGUAGES", meaning.ENCODER_LANGUAGES - {language})
        assert trained.judged(text, language).sure is None, language


@pytest.mark.parametrize(
    "text",
    [
        "नमस्ते",
        "धन्यवाद, खाना बहुत अच्छा था।",
        "कल सुबह की ट्रेन कितने बजे निकलती है?",
        "उन लोगों को इस देश में रहने का कोई हक़ नहीं है।",
    ],
)
def test_a_hindi_text_without_a_bad_word_is_never_safe(text: str) -> None:
    content = Content(text=text, language="hi")
    votes = [voter.vote(content) for voter in (rules, characters, meaning)]
    assert tally(packaged("embedded"), votes, "hi").decision is not Decision.SAFE


def test_a_hindi_insult_is_still_decided() -> None:
    content = Content(text="तू कुत्ता कमीना है, साले हरामी", language="hi")
    votes = [voter.vote(content) for voter in (rules, characters, meaning)]
    assert tally(packaged("embedded"), votes, "hi").decision is Decision.UNSAFE


@pytest.mark.parametrize("score", [-1e6, 1e6])
def test_no_score_gives_certainty(score: float) -> None:
    value = OPINION.judged(0.5, score, (score, -SURE, -SURE), "en").unsafe
    assert LEAST_DOUBT <= value <= 1 - LEAST_DOUBT


def test_the_panel_misses_a_voter_that_finds_a_text_unlike_its_training() -> None:
    votes: list[CastVote | Abstention] = [
        make.abstention("rules", "nothing_found"),
        make.cast("characters", "safe", confidence=0.99),
        make.abstention("meaning", "unlike_training"),
    ]
    assert tally(packaged("embedded"), votes, "en").decision is Decision.NEEDS_REVIEW


def test_such_an_abstention_is_kept_and_is_no_want_of_an_opinion() -> None:
    found = make.abstention("meaning", AbstentionReason.UNLIKE_TRAINING)
    assert found.repeatable
    assert not found.could_not_vote
