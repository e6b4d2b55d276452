"""Expressions that hold a listed word in an innocent sense, read as what they mean.

Pure. 새끼 고양이 is a kitten and 새끼 alone is a curse; 병신년 of 2016 is a year. The lists and
the trained voters know the curse only, so each such expression is reworded to an innocent one of
the same sense before any of them reads it. So is laughter (hahaha, jajaja, lmao), which they know
as lol, and a curse in initials (stfu) is read as what it means. `innocent.json` holds pairs of a
pattern and its replacement, by language, `*` for all. A pattern asks for enough around the word
that no insult fits it.
"""

import json
import re
from functools import cache
from pathlib import Path

EXPRESSIONS = Path(__file__).with_name("innocent.json")
_EVERY, _KOREAN = "*", "ko"
_HANGUL = re.compile("[가-힣ㄱ-ㅣ]")


@cache
def _pairs(language: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    listed: dict[str, list[tuple[str, str]]] = json.loads(EXPRESSIONS.read_text(encoding="utf-8"))
    return tuple((re.compile(pattern), words) for pattern, words in listed[language])


def reworded(text: str) -> str:
    """A normalised text with its innocent expressions in other words."""
    languages = (_EVERY, _KOREAN) if _HANGUL.search(text) is not None else (_EVERY,)
    for pattern, words in (pair for language in languages for pair in _pairs(language)):
        text = pattern.sub(words, text)
    return text
