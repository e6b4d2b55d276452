"""The three embedded voters, on mild texts."""

from types import ModuleType

import pytest
from embedded import characters, meaning, reading, rules
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import (
    CONTENT_LIMIT,
    Abstention,
    Attribute,
    CastVote,
    Content,
    Decision,
)

VOTERS = (rules, characters, meaning)
TRAINED = (characters, meaning)


def names(voter: object) -> str:
    return str(getattr(voter, "VOTER", voter))


def unsafe(voter: ModuleType, text: str) -> float:
    vote = voter.vote(Content(text=text, language="en"))
    assert isinstance(vote, CastVote)
    return vote.confidence if vote.decision is Decision.UNSAFE else 1 - vote.confidence


@pytest.mark.parametrize("voter", VOTERS, ids=names)
@pytest.mark.parametrize(
    "text",
    [
        "\u200b\u200b",
        "   \t\n ",
        "😀😀😀",
        "12345 67890",
        "안녕 hello привет 你好 مرحبا",
        "a\u0301" * 500,
        "\ud7b0\ud7cb " * 50,
        "ㅋ" * CONTENT_LIMIT,
        "x" * CONTENT_LIMIT,
        "good morning to you all " * (CONTENT_LIMIT // 24),
        "\U0010ffff lone end",
    ],
    ids=lambda text: ascii(text[:8]),
)
def test_whatever_comes_there_is_a_vote_or_an_abstention(voter: ModuleType, text: str) -> None:
    vote = voter.vote(Content(text=text))
    assert isinstance(vote, CastVote | Abstention)
    assert vote.voter == voter.VOTER


@pytest.mark.parametrize("voter", TRAINED, ids=names)
def test_a_mild_greeting_is_safe(voter: ModuleType) -> None:
    vote = voter.vote(Content(text="안녕하세요, 좋은 아침입니다!"))
    assert vote.decision is Decision.SAFE
    assert vote.confidence >= 0.5
    assert vote.model == voter.version()
    assert any("가" <= letter <= "힣" for letter in vote.reason)


@pytest.mark.parametrize("voter", TRAINED, ids=names)
def test_an_insult_is_less_safe_than_thanks(voter: ModuleType) -> None:
    assert unsafe(voter, "you are a stupid idiot, shut up") > 0.5
    assert unsafe(voter, "thank you for the kind help with my garden") < 0.5


@pytest.mark.parametrize("voter", TRAINED, ids=names)
def test_toxicity_is_the_probability_of_unsafe(voter: ModuleType) -> None:
    thanks, insult = "Thank you all for the lovely evening.", "You are a stupid piece of shit."
    for text in (thanks, insult):
        vote = voter.vote(Content(text=text, language="en"))
        assert vote.attribute_scores[Attribute.TOXICITY] == pytest.approx(
            unsafe(voter, text), abs=1e-4
        )


def test_a_listed_word_is_toxic_and_its_absence_says_nothing() -> None:
    hit = rules.vote(Content(text="You are a stupid piece of shit.", language="en"))
    assert isinstance(hit, CastVote)
    assert hit.attribute_scores[Attribute.TOXICITY] == hit.confidence
    none = rules.vote(Content(text="Thank you all for the lovely evening.", language="en"))
    assert Attribute.TOXICITY not in none.attribute_scores


def test_a_text_unlike_the_training_has_a_toxicity_all_the_same() -> None:
    vote = meaning.vote(Content(text="आज मौसम बहुत अच्छा है, धन्यवाद दोस्त", language="hi"))
    assert isinstance(vote, Abstention)
    assert vote.reason is AbstentionReason.UNLIKE_TRAINING
    assert 0 < vote.attribute_scores[Attribute.TOXICITY] < 0.5
    assert "attribute_scores" in vote.model_dump(mode="json")


@pytest.mark.parametrize("voter", VOTERS, ids=names)
def test_an_unknown_language_has_no_attribute_at_all(voter: ModuleType) -> None:
    vote = voter.vote(Content(text="Ninapenda kusoma vitabu vya historia", language="sw"))
    assert isinstance(vote, Abstention)
    assert "attribute_scores" not in vote.model_dump(mode="json")


@pytest.mark.parametrize("voter", VOTERS, ids=names)
def test_the_same_text_gives_the_same_vote(voter: ModuleType) -> None:
    content = Content(text="Was für ein dummer Idiot, dachte er.", language="de")
    assert voter.vote(content) == voter.vote(content)


@pytest.mark.parametrize("voter", VOTERS, ids=names)
def test_tricks_a_reader_does_not_see_change_nothing(voter: ModuleType) -> None:
    plain = voter.vote(Content(text="you stupid idiot", language="en"))
    assert voter.vote(Content(text=" you  stu\u200bpid \u00adｉdiot", language="en")) == plain


@pytest.mark.parametrize("voter", VOTERS, ids=names)
@pytest.mark.parametrize("language", ["sw", "ceb"])
def test_a_language_nobody_knows_is_an_abstention(voter: ModuleType, language: str) -> None:
    vote = voter.vote(Content(text="Habari za asubuhi", language=language))
    assert isinstance(vote, Abstention)
    assert vote.reason is AbstentionReason.LANGUAGE_UNKNOWN


@pytest.mark.parametrize("voter", TRAINED, ids=names)
@pytest.mark.parametrize(
    "text", ["😀 123", "10/10", "@someone", "https://example.org/a", "❤️❤️", "?!"]
)
def test_a_text_without_words_is_safe_to_the_trained_voters(voter: ModuleType, text: str) -> None:
    vote = voter.vote(Content(text=text))
    assert (vote.decision, vote.confidence_measured) == (Decision.SAFE, None)


def test_lists_read_a_text_without_words_as_well() -> None:
    assert rules.vote(Content(text="👍 10/10")).reason is AbstentionReason.NOTHING_FOUND
    for text in ("👉🖕👈", "https://example.org/fuck-you"):
        vote = rules.vote(Content(text=text))
        assert isinstance(vote, CastVote)
        assert vote.decision is Decision.UNSAFE


def test_a_language_without_labels_is_judged_by_meaning_alone() -> None:
    content = Content(text="Bonjour à tous et merci beaucoup", language="fr")
    assert isinstance(meaning.vote(content), CastVote)
    assert characters.vote(content).reason is AbstentionReason.LANGUAGE_UNKNOWN


def test_a_sure_language_known_to_no_one_is_not_taken_for_english() -> None:
    vote = characters.vote(Content(text="Habari za asubuhi, karibuni nyote nyumbani kwetu leo"))
    assert vote.reason is AbstentionReason.LANGUAGE_UNKNOWN


def test_rules_abstain_when_they_find_nothing() -> None:
    vote = rules.vote(Content(text="A quiet afternoon in the garden.", language="en"))
    assert isinstance(vote, Abstention)
    assert vote.reason is AbstentionReason.NOTHING_FOUND


def test_a_hit_votes_unsafe_with_the_precision_of_its_surest_rule() -> None:
    content = Content(text="Oh shit, the train has left.", language="en")
    vote = rules.vote(content)
    known = rules.precisions().measured["en"]
    fired = rules.fired(content.text, "en")
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.UNSAFE
    assert vote.confidence == max(known[rule] for rule in fired if rule in known)
    assert vote.scores
    assert "shit" not in vote.reason


def test_every_rule_speaks_of_a_category() -> None:
    for known in rules.precisions().measured.values():
        for rule, precision in known.items():
            assert rules.category(rule)
            assert 0.5 < precision < 1.0


def test_a_rule_too_imprecise_to_count_is_as_good_as_no_hit() -> None:
    measured = rules.Precisions(version="", measured={"en": {}}, unmeasured=0.7)
    assert measured.sure(frozenset({"badwords"}), "en") == {}
    assert measured.sure(frozenset({"badwords"}), "pl") == {"badwords": 0.7}


def test_windows_lose_nothing_and_cut_at_blanks() -> None:
    text = "word " * 1_000
    pieces = reading.windows(text)
    assert "".join(pieces) == text
    assert max(map(len, pieces)) <= reading.WINDOW
    assert all(not piece[0].isalpha() or piece is pieces[0] for piece in pieces)
    assert "".join(reading.windows("x" * 5_001)) == "x" * 5_001


@pytest.mark.parametrize("voter", TRAINED, ids=names)
def test_an_insult_deep_in_a_long_text_is_not_drowned(voter: ModuleType) -> None:
    calm = "The garden was quiet and the tea was warm. " * 200
    insult = "You are a stupid idiot and everybody hates you, shut up. " * 15

    assert unsafe(voter, calm + insult + calm) > unsafe(voter, calm)
