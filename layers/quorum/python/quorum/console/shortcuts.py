"""Keys of single letters: each may be another one, and all may be off (WCAG 2.1.4). Pure.

A choice is written as the letters of all actions in their order, or as `off`, and kept in a cookie
of the browser: it is about a keyboard, not about a person.
"""

import re
from collections.abc import Mapping

ACTIONS: Mapping[str, str] = {
    "reveal": "r",
    "safe": "s",
    "unsafe": "u",
    "escalate": "e",
    "skip": "x",
    "undo": "z",
    "release": "b",
    "next": "j",
    "previous": "k",
}
"""The actions with their usual letters. Digits are categories, and Enter submits."""
USUAL = "".join(ACTIONS.values())
OFF = "off"
_LETTERS = re.compile(rf"[a-z]{{{len(USUAL)}}}")


def read(written: str) -> str:
    """The choice as it was written; the usual letters where it is none."""
    return written if written == OFF or is_usable(written) else USUAL


def is_usable(letters: str) -> bool:
    """Whether every action has a letter, and no two have the same."""
    return _LETTERS.fullmatch(letters) is not None and len(set(letters)) == len(letters)
