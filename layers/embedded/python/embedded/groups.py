"""Groups of people that law protects: sex, orientation, religion, origin, skin, disability, age.

What is said of such a group – contempt, its condemnation, or news – is told by who says what of
whom, which no embedded voter reads: hate without a bad word is near to texts that are safe. So the
voter `meaning` calls no text safe that names one, and is less sure that it is unsafe (see decision
0043).

The words in `groups.json` are ours, by language, after Article 21 of the Charter of Fundamental
Rights of the European Union: names, the slurs in their place, and emoji. A star stands for any
ending.
"""

import json
import re
from functools import cache
from pathlib import Path

from embedded.disguises import respelled

GROUPS = Path(__file__).with_name("groups.json")
_NO_SPACES = frozenset(("ja", "ko", "zh"))
"""Languages whose words stand without spaces, or with endings: a word matches anywhere."""
EVERY = "*"
"""The key of emoji, which name a group in every language."""


@cache
def _pattern(language: str) -> re.Pattern[str]:
    listed: dict[str, list[str]] = json.loads(GROUPS.read_text(encoding="utf-8").casefold())
    words = "|".join(re.escape(word).replace(r"\*", r"\w*") for word in listed.get(language, ()))
    edges = ("", "") if language in _NO_SPACES else (r"(?<!\w)", r"(?!\w)")
    emoji = "|".join(map(re.escape, listed[EVERY]))
    return re.compile(f"{edges[0]}(?:{words}){edges[1]}|{emoji}" if words else emoji)


def named(text: str, language: str) -> bool:
    """Whether a normalised text names such a group in `language`, in disguise or not."""
    named_in = _pattern(language).search
    return any(named_in(spelling.casefold()) for spelling in (text, *respelled(text)))
