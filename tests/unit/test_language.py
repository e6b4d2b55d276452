"""Which language a text is in."""

import pytest
from quorum.vote.language import detect


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("안녕하세요, 좋은 아침입니다!", "ko"),
        ("비밀번호는 123456입니다. 해킹 관련 질문은 here.", "ko"),
        ("おはようございます、東京", "ja"),
        ("今天天气很好", "zh"),
        ("สวัสดีตอนเช้า", "th"),
        ("Good morning, how are you today?", "en"),
        ("Bonjour tout le monde, comment allez-vous ?", "fr"),
        ("Guten Morgen, wie geht es Ihnen heute?", "de"),
        ("Доброе утро, как у вас сегодня дела?", "ru"),
        ("صباح الخير كيف حالك اليوم", "ar"),
        ("सुप्रभात, आज आप कैसे हैं?", "hi"),
        ("Buenos días, ¿cómo estás hoy?", "es"),
    ],
)
def test_a_language_is_told_by_its_words_or_script(text: str, language: str) -> None:
    assert detect(text) == language


@pytest.mark.parametrize("text", ["", "123", "😀", "https://example.org/good-morning", "@someone"])
def test_what_holds_no_words_is_in_no_language(text: str) -> None:
    assert detect(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Bonjour",
        "Va te faire voir",
        "Je ne suis pas d'accord avec toi",
        "Buongiorno a tutti quanti",
        "Dzień dobry wszystkim",
        "Habari za asubuhi, karibuni nyote",
        "Selamat pagi semuanya",
    ],
)
def test_another_language_is_never_called_english(text: str) -> None:
    assert detect(text) != "en"


def test_shouting_and_whispering_are_in_the_same_language() -> None:
    assert detect("GUTEN MORGEN, WIE GEHT ES IHNEN?") == detect("guten morgen, wie geht es ihnen?")
