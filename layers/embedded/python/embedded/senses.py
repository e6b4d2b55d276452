"""Passages that may be meant harmlessly: quoted, denied, condemned, or words with another sense.

"The bitch had six puppies", "You are not stupid" and "Stop calling women whores" hold what the
voters learned from insults. A voter that finds a text unsafe reads it once more without such
passages; if it does not find the rest unsafe, it is not sure of what is meant.

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


@cache
def _patterns(language: str) -> tuple[re.Pattern[str], ...]:
    listed: dict[str, list[str]] = json.loads(SENSES.read_text(encoding="utf-8"))
    return tuple(
        re.compile(pattern, re.IGNORECASE)
        for pattern in (*listed[EVERY], *listed.get(language, ()))
    )


def without(text: str, language: str) -> str | None:
    """The text without such passages; None where it holds none."""
    rest = text
    for pattern in _patterns(language):
        rest = pattern.sub(" ", rest)
    return None if rest == text else " ".join(rest.split())
