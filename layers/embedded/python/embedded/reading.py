"""Input of the embedded voters: the normalised text, its language, and its windows."""

from typing import NamedTuple

from quorum.core.models import Abstention, AbstentionReason, Content
from quorum.core.normalise import normalise
from quorum.vote import language

WINDOW = 1_000
"""Characters of a window. Measured best on long texts: one bad passage is not averaged away."""


class Reading(NamedTuple):
    """The normalised text and its language (ISO 639-1; None if unknown)."""

    text: str
    language: str | None


def read(content: Content) -> Reading:
    """Normalise a content and find its language: the caller's, else the detected one."""
    text = normalise(content.text).text
    return Reading(text=text, language=content.language or language.detect(text))


def windows(text: str) -> list[str]:
    """A text of up to `WINDOW` characters whole, a longer one in pieces cut at blanks."""
    pieces: list[str] = []
    start = 0
    while len(text) - start > WINDOW:
        blank = text.rfind(" ", start + WINDOW // 2, start + WINDOW)
        end = start + WINDOW if blank < 0 else blank
        pieces.append(text[start:end])
        start = end
    pieces.append(text[start:])
    return pieces


def language_unknown(voter: str, language_code: str | None) -> Abstention:
    """The abstention of a voter that does not know the language."""
    told = "the language cannot be told" if language_code is None else f"knows no {language_code}"
    return Abstention(voter=voter, reason=AbstentionReason.LANGUAGE_UNKNOWN, detail=told)
