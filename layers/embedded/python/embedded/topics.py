"""Topics no embedded voter can judge: weapons, drugs, self-harm, the abuse of children, threats.

Whether such a text is news, a cry for help or instructions takes more than a small model, and none
of the labelled texts teaches it (see decision 0003). So a mention is left to a person or to a
larger model.

`topics.json` has the words by topic and language, `*` for all. One that begins with `=` counts
where it is a whole sentence alone: "Die!", not "die Katze".
"""

import json
import re
from functools import cache
from pathlib import Path

from quorum.core.models import Category

from embedded.disguises import respelled

TOPICS = Path(__file__).with_name("topics.json")
_NO_SPACES = frozenset(("ja", "ko", "zh"))
"""Languages without spaces between words: a word matches anywhere."""
_EVERY, _ALONE = "*", "="
_STARTS = r"(?:^|[.!?…。！？,，\n]\s*)[\"'“«(]*"
_ENDS = r"\s*(?:[.!?…。！？~ㅋㅎ\U0001f300-\U0001faff]|$)"
"""What stands around a sentence."""


@cache
def languages() -> frozenset[str]:
    """The languages that have words for some topic."""
    listed: dict[str, dict[str, list[str]]] = json.loads(TOPICS.read_text(encoding="utf-8"))
    return frozenset(language for words in listed.values() for language in words) - {_EVERY}


@cache
def _patterns(language: str) -> dict[Category, re.Pattern[str]]:
    topics: dict[str, dict[str, list[str]]] = json.loads(TOPICS.read_text(encoding="utf-8"))
    edges = ("", "") if language in _NO_SPACES else (r"(?<!\w)", r"(?!\w)")
    found: dict[Category, re.Pattern[str]] = {}
    for category, listed in topics.items():
        words = [*listed.get(language, ()), *listed.get(_EVERY, ())]
        alone = [re.escape(word[1:]) for word in words if word.startswith(_ALONE)]
        inside = [re.escape(word) for word in words if not word.startswith(_ALONE)]
        ways = [f"{edges[0]}(?:{'|'.join(inside)}){edges[1]}"] if inside else []
        ways += [f"{_STARTS}(?:{'|'.join(alone)}){_ENDS}"] if alone else []
        if ways:
            found[Category(category)] = re.compile("|".join(ways))
    return found


def mentioned(text: str, language: str) -> tuple[Category, ...]:
    """The topics that a normalised text in `language` mentions, in disguise or not."""
    spellings = [spelling.casefold() for spelling in (text, *respelled(text))]
    return tuple(
        category
        for category, pattern in _patterns(language).items()
        if any(map(pattern.search, spellings))
    )
