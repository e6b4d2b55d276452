"""Short texts, texts without words, and texts in two scripts, before the embedded panel."""

import pytest
from embedded import characters, meaning, rules
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content, Decision, Outcome
from quorum.vote.language import with_language
from quorum.vote.panel import packaged
from quorum.vote.tally import tally

PANEL = packaged("embedded")


def judged(text: str, *, language: str | None = None, default: str | None = "en") -> Outcome:
    content = with_language(Content(text=text, language=language), default)
    votes = [voter.vote(content) for voter in (rules, characters, meaning)]
    return tally(PANEL, votes, content.language, final=True)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "lol",
            "gg",
            "hi",
            "hello",
            "thanks",
            "yes",
            "no",
            "nope",
            "wow",
            "nice one",
            "good luck",
        ),
        *("see you", "brb", "thx", "cool", "happy birthday", "I love you", "why?", "Anna"),
        *(
            "👍",
            "😂😂😂",
            ":)",
            "10/10",
            "7:30",
            "2024",
            "+82 10-1234-5678",
            "@alex",
            "❤️",
            "...",
            "?",
        ),
        *("https://example.com/a", "www.example.org", "🇰🇷 🇫🇷", "3 > 2", "#1"),
    ],
)
def test_an_innocent_short_text_is_safe(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    "text", ["fuck you", "kill yourself", "stfu", "fucking idiot", "u suck", "bitch", "FUCK YOU!!"]
)
def test_a_short_insult_is_unsafe(text: str) -> None:
    assert judged(text).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *("уоu аrе а ѕtuріd bіtсh", "gо kіll уоurѕеlf", "fuсk уоu аѕѕhоlе", "wоrthlеѕѕ сunt"),
        *("ㅆㅂ 짜증나", "ㅂㅅ 같은 소리", "ㄲㅈ라", "시1발 뭐야", "개새1끼"),
    ],
)
def test_abuse_is_unsafe_however_its_letters_are_disguised_or_left_out(text: str) -> None:
    assert judged(text).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text", ["ㅈㄹ하지 마", "ㄱㅅㄲ야", "ㅁㅊㄴ", "ㅗㅗ", "ㅈ같네", "ㄴㄱㅁ", "ㅄ"]
)
def test_a_korean_abbreviation_of_a_curse_never_passes(text: str) -> None:
    assert judged(text).decision is not Decision.SAFE


@pytest.mark.parametrize("text", ["lol", "yes", "thanks", "fuck you", "bitch", "сука", "👍"])
def test_a_short_text_is_decided_without_any_default_language(text: str) -> None:
    assert judged(text, default=None).decision is not Decision.NEEDS_REVIEW


@pytest.mark.parametrize(
    "text",
    [
        *("안녕하세요 fuck you bitch", "I think you are 개새끼", "hello 씨발", "you are 병신"),
        *(
            "Привет, fuck you asshole",
            "你好 fuck you",
            "that guy is сука",
            "좋은 아침 you stupid bitch",
        ),
    ],
)
@pytest.mark.parametrize("default", [None, "en", "ko"])
def test_abuse_in_the_second_script_is_found(text: str, default: str | None) -> None:
    assert judged(text, default=default).decision is not Decision.SAFE


@pytest.mark.parametrize("language", ["ko", "en"])
def test_abuse_in_the_second_script_is_found_where_the_caller_names_one_language(
    language: str,
) -> None:
    assert judged("안녕하세요 fuck you bitch", language=language).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *("오늘 iPhone 샀어", "LG TV 좋아요", "K-pop 최고", "ㅋㅋ ok", "thank you 감사합니다"),
        *("Good morning 좋은 아침", "안녕 hello", "東京の iPhone", "Спасибо, good night"),
    ],
)
def test_an_innocent_text_in_two_scripts_is_safe(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Merci beaucoup pour votre aide et bonne journée", "fr"),
        ("Grazie mille per l'aiuto, buona giornata", "it"),
        ("Muito obrigado pela ajuda e um bom dia", "pt"),
        ("今日は天気がいいですね。散歩に行きましょう。", "ja"),
        ("Bedankt voor het mooie cadeau.", "nl"),
        ("Wij gaan morgen fietsen.", "nl"),
        ("Dziękuję za miły wieczór.", "pl"),
        ("Sklep jest zamknięty w niedzielę.", "pl"),
        ("Güzel hediye için teşekkürler.", "tr"),
        ("İyi günler dilerim.", "tr"),
        ("ขอบคุณสำหรับของขวัญ", "th"),
        ("สวัสดีตอนเช้า", "th"),
        ("Merci pour ce joli cadeau.", "fr"),
        ("Il negozio è chiuso la domenica.", "it"),
        ("Boa noite a todos.", "pt"),
        ("素敵なプレゼントをありがとう。", "ja"),
    ],
)
def test_a_language_that_one_voter_knows_can_be_decided(text: str, language: str) -> None:
    content = with_language(Content(text=text))
    assert content.language == language
    assert judged(text).decision is Decision.SAFE


def _vote(voter: str, decision: Decision = Decision.SAFE) -> CastVote:
    return CastVote(voter=voter, model=voter, decision=decision, confidence=0.97)


def _abstains(voter: str, reason: AbstentionReason) -> Abstention:
    return Abstention(voter=voter, reason=reason)


def test_a_voter_that_could_have_spoken_is_missed() -> None:
    failed = _abstains("characters", AbstentionReason.FAILED)
    silent = _abstains("rules", AbstentionReason.NOTHING_FOUND)
    outcome = tally(PANEL, [silent, failed, _vote("meaning")], final=True)
    assert outcome.decision is Decision.NEEDS_REVIEW
    assert "the quorum is 2" in outcome.reason


def test_voters_that_could_not_have_spoken_are_not_missed() -> None:
    silent = _abstains("rules", AbstentionReason.NOTHING_FOUND)
    unknowing = _abstains("characters", AbstentionReason.LANGUAGE_UNKNOWN)
    assert tally(PANEL, [silent, unknowing, _vote("meaning")], final=True).decision is Decision.SAFE


def test_nobody_s_vote_decides_nothing() -> None:
    nobody = [_abstains(voter, AbstentionReason.LANGUAGE_UNKNOWN) for voter in PANEL.voters]
    outcome = tally(PANEL, nobody, final=True)
    assert outcome.decision is Decision.NEEDS_REVIEW


def test_where_others_could_speak_the_whole_quorum_is_asked() -> None:
    economy = packaged("economy")
    votes: list[CastVote | Abstention] = [
        _abstains("rules", AbstentionReason.NOTHING_FOUND),
        _abstains("characters", AbstentionReason.LANGUAGE_UNKNOWN),
        _vote("meaning"),
    ]
    outcome = tally(economy, votes)
    assert not outcome.settled
    assert outcome.next_voters == ("gpt-4.1-nano",)
