"""The words of the console: every key in both languages, filled in alike, and all of them used."""

import re
from string import Formatter

import pytest
from quorum.console.texts import visible
from quorum.console.words import WORDS, preferred, text_of
from quorum.core.models import Category

from tests.template import ROOT

TEMPLATES = sorted((ROOT / "functions/console/templates").glob("*.html"))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("key", WORDS)
def test_a_word_has_both_languages_and_the_same_placeholders(key: str) -> None:
    english, korean = WORDS[key]
    assert english.strip()
    assert korean.strip()
    assert placeholders(english) == placeholders(korean)
    assert not re.search(r"\}[은는이가을를와과로]", korean), "no particle after a placeholder"


def test_a_category_is_named_and_one_of_a_policys_own_is_called_what_the_policy_calls_it() -> None:
    assert [name for name in Category if f"category.{name}" not in WORDS] == []
    assert text_of("ko", "category.hate") == WORDS["category.hate"][1]
    assert text_of("ko", "category.gambling_ads") == "gambling_ads"
    with pytest.raises(KeyError):
        text_of("en", "gambling_ads")


def test_templates_use_words_that_there_are() -> None:
    used = {
        key
        for file in TEMPLATES
        for key in re.findall(r'\bt\(["\']([a-z_./-]+)["\'](?! ~)', file.read_text())
    }
    assert len(used) > 80
    assert used <= WORDS.keys()


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_a_template_marks_nothing_as_safe_and_runs_nothing(file: object) -> None:
    text = (ROOT / str(file)).read_text()
    assert not re.search(r"\|\s*safe\b|autoescape|\sstyle=|\son[a-z]+=|javascript:", text)


def test_a_browsers_first_known_language_counts() -> None:
    assert preferred("fr, ko-KR;q=0.9, en;q=0.8") == "ko"
    assert preferred("en-US,ko;q=0.5") == "en"
    assert preferred("") == "en"
    assert text_of("ko", "pace", count=3, minutes=2) == "2분 동안 3건 처리"


def test_characters_that_cannot_be_seen_are_named_and_others_stay() -> None:
    assert visible("a\u200bb\u202e\x00\n\tc") == "a⟦U+200B⟧b⟦U+202E⟧⟦U+0000⟧\n\tc"
    assert visible("👩‍💻 가나다 é") == "👩‍💻 가나다 é"
    assert visible("a\u200dx") == "a⟦U+200D⟧x"
