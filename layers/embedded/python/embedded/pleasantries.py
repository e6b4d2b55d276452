"""Texts that are a greeting, thanks, a wish or a yes, and nothing else.

Pure. They are what people send most in a chat, and too short for a trained voter to be sure of:
what it learned from are longer texts. `pleasantries.json` lists them by language, in small letters
and without punctuation; a text is compared with those of every language.
"""

import json
import re
from functools import cache
from pathlib import Path

PLEASANTRIES = Path(__file__).with_name("pleasantries.json")
_AROUND = re.compile(r"^[\W_]+|[\W_]+$")


@cache
def _known() -> frozenset[str]:
    listed: dict[str, list[str]] = json.loads(PLEASANTRIES.read_text(encoding="utf-8"))
    return frozenset(words.casefold() for of in listed.values() for words in of)


def nothing_else(text: str) -> bool:
    """Whether a normalised text is such an expression, whatever signs and emoji stand around it."""
    return _AROUND.sub("", text).casefold() in _known()
