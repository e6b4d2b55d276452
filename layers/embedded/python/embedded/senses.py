"""Passages that may be meant harmlessly: quoted, denied, condemned, or words with another sense.

"The bitch had six puppies", "You are not stupid" and "Stop calling women whores" hold what the
voters learned from insults. A voter that finds a text unsafe reads it once more without such
passages; if it is not sure that the rest is unsafe, it is not sure of what is meant.

The patterns in `senses.json` are ours, by language; those under `*` are for every language.
"""

import json
import re
from functools import cache
from pathlib import Path

SENSES = Path(__file__).with_name("senses.json")
EVERY = "*"
UNSURE = 0.5
"""Probability of unsafe where only such passages speak for it: even odds."""
SURE_REST = 0.8
"""Probability of unsafe from which the rest speaks for it by itself: a few words that are left of a
denial ("you …, the task is hard") show little."""


@cache
def _patterns(language: str) -> tuple[re.Pattern[str], ...]:
    listed: dict[str, list[str]] = json.loads(SENSES.read_text(encoding="utf-8"))
    return tuple(
        re.compile(pattern, re.IGNORECASE)
        for pattern in (*listed[EVERY], *listed.get(language, ()))
    )


def without(text: str, language: str) -> str | None:
    """The text without such passages; None where it holds none.

    Each pattern reads the text as it was written, not what others have left of it: "do not" is a
    part of "do not call anybody an idiot".
    """
    kept = bytearray(b"\1" * len(text))
    for pattern in _patterns(language):
        for found in pattern.finditer(text):
            kept[found.start() : found.end()] = bytes(found.end() - found.start())
    if all(kept):
        return None
    rest = "".join(letter if keep else " " for letter, keep in zip(text, kept, strict=True))
    return " ".join(rest.split())
