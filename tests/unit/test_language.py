"""Which language a text is in."""

import pytest
from quorum.core.models import Content
from quorum.vote.language import detect, parts, with_language


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


@pytest.mark.parametrize("text", ["go die", "gg", "Gift", "hell", "сука"])
def test_a_few_letters_show_no_language(text: str) -> None:
    assert detect(text) is None


def test_each_plausible_language_counts_with_its_probability() -> None:
    (part,) = parts("kill time")
    assert "en" in part.languages
    assert 0.99 < sum(part.languages.values()) < 1.01
    assert list(part.languages.values()) == sorted(part.languages.values(), reverse=True)


@pytest.mark.parametrize(
    ("text", "default", "first"),
    [
        ("gg", "en", "en"),
        ("gg", "de", "de"),
        ("да", "en", "ru"),
        ("да", "uk", "uk"),
        ("東京", "ja", "ja"),
    ],
)
def test_a_default_language_counts_where_the_letters_are_its_own(
    text: str, default: str, first: str
) -> None:
    (part,) = parts(text, default=default)
    assert next(iter(part.languages)) == first


def test_a_text_in_two_scripts_has_two_parts_the_longest_first() -> None:
    found = parts("안녕하세요 여러분, thank you")
    assert [next(iter(part.languages)) for part in found] == ["ko", "en"]
    assert [part.text for part in found] == ["안녕하세요 여러분,", ", thank you"]


@pytest.mark.parametrize("text", ["A등급 한우", "東京タワーへ行く", "我喜歡〆切々", "नमस्ते दोस्तों"])
def test_single_letters_and_mixed_kana_are_no_part_of_their_own(text: str) -> None:
    assert len(parts(text)) == 1


def test_the_callers_language_is_that_of_its_own_script() -> None:
    found = parts("안녕하세요 여러분, thank you all", told="de")
    assert [part.languages for part in found] == [{"de": 1.0}, {"ko": 1.0}]
    (only,) = parts("Habari za asubuhi", told="sw")
    assert only.languages == {"sw": 1.0}


@pytest.mark.parametrize(
    "text", ["", "10/10", "👍", "https://example.org/good-morning", "@someone"]
)
def test_a_text_without_words_has_no_part(text: str) -> None:
    assert parts(text) == ()


def test_a_default_language_is_assumed_only_where_none_can_be_told() -> None:
    def told(text: str, *defaults: str | None, **fields: str) -> str | None:
        return with_language(Content.model_validate({"text": text} | fields), *defaults).language

    assert told("gg") is None
    assert told("gg", None, "en") == "en"
    assert told("gg", "de", "en") == "de"
    assert told("gg", "de", default_language="es") == "es"
    assert told("gg", "de", language="fr") == "fr"
    assert told("да", "en") is None
    assert told("👍", "en") is None
    assert told("안녕하세요 여러분", "en") == "ko"
    assert told("Guten Morgen, wie geht es Ihnen heute?", "en") == "de"


def test_the_language_is_told_from_what_a_reader_sees() -> None:
    disguised = "Тhаnk уоu fоr thе lоvеlу еvеning аt thе lаkе"
    assert with_language(Content(text=disguised)).language == "en"
