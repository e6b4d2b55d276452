"""What a reader would see: the content without tricks, and which tricks there were.

Pure. The normalised text is what voters are shown and what a vote is cached by, so near-identical
contents (whitespace, zero-width characters, Unicode form) share one vote. Case stays: shouting can
change a verdict.
"""

import re
import unicodedata

from quorum.models import Frozen

_HIDDEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_SPACE = re.compile(r"\s+")


class Normalised(Frozen):
    """`text` as a reader sees it; `hidden` counts the characters a reader would not have seen."""

    text: str
    hidden: int = 0


def normalise(text: str) -> Normalised:
    """NFKC, without invisible characters, white space folded to single blanks."""
    composed = unicodedata.normalize("NFKC", text)
    shown, hidden = _HIDDEN.subn("", composed)
    return Normalised(text=_SPACE.sub(" ", shown).strip(), hidden=hidden)
