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
    "text",
    [
        *(
            "Good luck!",
            "GG",
            "see you :)",
            "¡Gracias!",
            "Vielen Dank 🙏",
            "생일 축하해 🎂",
        ),
        *("спасибо", "ありがとう！", "شكرا", "धन्यवाद", "Merci."),
    ],
)
def test_a_greeting_thanks_or_a_wish_alone_is_safe(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    "text", ["thanks, idiot", "good luck dying", "see you in hell, bitch", "고마워 병신아"]
)
def test_a_pleasantry_is_none_where_anything_else_is_said(text: str) -> None:
    assert judged(text).decision is not Decision.SAFE


@pytest.mark.parametrize("text", ["haha", "hahaha", "jajaja", "kkkk", "lmao", "ROFL", "haha!"])
def test_laughter_is_safe_in_every_spelling(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    "text",
    [
        *(
            "#fuckyou",
            "@fuckyou",
            "https://x.example/fuck-you",
            "🇫🇺🇨🇰",
            "go die",
            "kys",
            "kill urself",
        ),
        *("kill yourself now 12345", "cunt", "slut", "a55hole", "hi 傻逼", "thanks 死ね"),
    ],
)
@pytest.mark.parametrize("default", [None, "en", "ko", "de"])
def test_a_curse_that_everybody_knows_passes_under_no_default_language(
    text: str, default: str | None
) -> None:
    assert judged(text, default=default).decision is not Decision.SAFE


@pytest.mark.parametrize("text", ["don't kill yourself", "Die Sonne scheint.", "死ねば終わり"])
def test_words_beside_such_a_curse_are_no_hit(text: str) -> None:
    assert isinstance(rules.vote(Content(text=text)), Abstention)


@pytest.mark.parametrize(
    "text", ["fuck you", "kill yourself", "stfu", "fucking idiot", "u suck", "bitch", "FUCK YOU!!"]
)
def test_a_short_insult_is_unsafe(text: str) -> None:
    assert judged(text).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *("уоu аrе а ѕtuріd bіtсh", "gо kіll уоurѕеlf", "fuсk уоu аѕѕhоlе", "wоrthlеѕѕ сunt"),
        *("ㅆㅂ 짜증나", "ㅂㅅ 같은 소리", "ㄲㅈ라", "개새1끼"),
    ],
)
def test_abuse_is_unsafe_however_its_letters_are_disguised_or_left_out(text: str) -> None:
    assert judged(text).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *(
            "ㅂㅅ",
            "ㅄ",
            "ㅈㄹ",
            "ㅅㅂ",
            "ㅆㅂ",
            "ㄱㅅㄲ",
            "ㄱㅅㄲ야",
            "ㅁㅊㄴ",
            "ㄴㄱㅁ",
            "ㄴㅇㅁ",
            "ㅅㄲ",
        ),
        *(
            "ㄲㅈ",
            "ㅂ.ㅅ",
            "ㅅ1ㅂ",
            "ㅅ\u200bㅂ",
            "ㅅㅅㅅㅂㅂㅂ",
            "ᄇᄉ",
            "ﾲﾵ",
        ),
        *("ㅋㅋㅂㅅ", "와ㅆㅂ", "이ㅅㄲ가", "저ㅅㄲ", "ㅈㄹ하지 마", "ㅈ같네"),
    ],
)
def test_a_curse_in_abbreviations_alone_is_unsafe(text: str) -> None:
    assert judged(text).decision is Decision.UNSAFE


@pytest.mark.parametrize(
    "text",
    [
        *("ㅁㅊ", "ㅇㅁㅊ", "느.금.마", "씹ㅏㄹ", "tlqkf", "wlfkf", "ssibal"),
        *("ㅗ", "ㅗㅗㅗㅗ", "ㅂ ㅅ", "ㅅ ㅣ ㅂ ㅏ ㄹ"),
    ],
)
def test_what_may_be_a_korean_curse_never_passes(text: str) -> None:
    assert judged(text).decision is not Decision.SAFE


@pytest.mark.parametrize(
    "text",
    [
        *("ㄱㅅ", "ㄱㅅㄱㅅ", "ㅅㄱ", "ㅇㅈ", "ㄴㄴ", "ㄱㄱ", "ㄷㄷㄷ", "ㅂㅂ", "ㅃㅃ", "ㅈㅅ"),
        *("ㅊㅋㅊㅋ", "ㄱㅊ", "ㅁㄹ", "ㅇㄷ?", "ㅎㅇㅌ", "ㅅㄹㅎ", "ㅂㄱㅅㅇ", "ㅈㄱㄴ", "ㅌㅌ"),
        *("ㅇㅅㅇ", "ㄱ,ㄴ,ㄷ 순서로", "ㅂㄷㅂㄷ"),
    ],
)
def test_innocent_abbreviations_are_at_worst_left_to_a_person(text: str) -> None:
    """Korean is decided only where the panel is surer than of these (decision 39)."""
    assert judged(text).decision is not Decision.UNSAFE


@pytest.mark.parametrize(
    "text", ["ㅇㅋ", "ㅎㅇ", "ㄹㅇㅋㅋ", "ㅋㅋㅋ", "ㅠㅠ", "ㅎㅎ", "ㅡㅡ;;", "ㅜㅜㅜ", "ㅂ 불규칙"]
)
def test_laughter_tears_and_greetings_in_abbreviations_are_safe(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    "text",
    [
        *(
            "고양이 새끼",
            "새끼 고양이를 분양합니다",
            "사슴 새끼가 숲에 있어요",
            "고양이가 새끼를 낳았어요",
        ),
        *(
            "새끼손가락을 다쳤어요",
            "시발점",
            "시발역에서 만나",
            "병신일주 사주",
            "보지 못했다",
            "자지 않는다",
        ),
        *(
            "닥쳐온 위기",
            "가방을 뒤져 찾았다",
            "뒤져봐도 없어",
            "값의 받침은 ㅄ입니다",
            "ㅗ자로 생긴 길",
        ),
    ],
)
def test_a_listed_word_in_an_innocent_expression_is_not_unsafe(text: str) -> None:
    assert judged(text).decision is not Decision.UNSAFE
    assert isinstance(rules.vote(Content(text=text, language="ko")), Abstention)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "이 새끼야",
            "개새끼를 봤나",
            "쥐새끼 같은 놈",
            "돼지새끼야",
            "고양이 새끼야 꺼져",
            "병신년아",
            "닥쳐라",
        ),
        *("시발역겨워", "씨발라마", "나가 뒤져라", "씨발 고양이새끼"),
    ],
)
def test_an_insult_beside_an_innocent_expression_stays_one(text: str) -> None:
    vote = rules.vote(Content(text=text, language="ko"))
    assert isinstance(vote, CastVote)
    assert vote.decision is Decision.UNSAFE


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
        *("LG TV 좋아요", "K-pop 최고", "ㅋㅋ ok", "thank you 감사합니다"),
        *("Good morning 좋은 아침", "안녕 hello", "東京の iPhone", "Спасибо, good night"),
    ],
)
def test_an_innocent_text_in_two_scripts_is_safe(text: str) -> None:
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("今日は天気がいいですね。散歩に行きましょう。", "ja"),
        ("素敵なプレゼントをありがとう。", "ja"),
    ],
)
def test_a_language_that_one_voter_knows_can_be_decided(text: str, language: str) -> None:
    content = with_language(Content(text=text))
    assert content.language == language
    assert judged(text).decision is Decision.SAFE


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Bedankt voor het mooie cadeau.", "nl"),
        ("Wij gaan morgen fietsen.", "nl"),
        ("Dziękuję za miły wieczór.", "pl"),
        ("Sklep jest zamknięty w niedzielę.", "pl"),
        ("Merci beaucoup pour votre aide et bonne journée", "fr"),
        ("Merci pour ce joli cadeau.", "fr"),
        ("Grazie mille per l'aiuto, buona giornata", "it"),
        ("Il negozio è chiuso la domenica.", "it"),
        ("Muito obrigado pela ajuda e um bom dia", "pt"),
        ("Boa noite a todos.", "pt"),
        ("Güzel hediye için teşekkürler.", "tr"),
        ("İyi günler dilerim.", "tr"),
        ("ขอบคุณสำหรับของขวัญ", "th"),
        ("สวัสดีตอนเช้า", "th"),
    ],
)
def test_a_language_in_which_too_much_was_decided_wrongly_is_left_to_a_person(
    text: str, language: str
) -> None:
    content = with_language(Content(text=text))
    assert content.language == language
    outcome = judged(text)
    assert outcome.decision is Decision.NEEDS_REVIEW
    assert f"leaves {language} to a person" in outcome.reason


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
