"""Input of the embedded voters: the normalised text, its parts and languages, and its windows."""

import re
from collections.abc import Callable, Collection, Mapping
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, Attribute, Content
from quorum.core.normalise import normalise
from quorum.vote import language
from quorum.vote.language import Part

from embedded import pleasantries, senses
from embedded.innocent import EXPRESSIONS, reworded
from embedded.pleasantries import PLEASANTRIES

VERSION = "9"
"""Changes whenever some text is judged otherwise: the trained voters' votes are kept by it."""
WINDOW = 1_000
"""Characters of a window. Measured best on long texts: one bad passage is not averaged away."""
KNOWN_SHARE = 0.25
"""Least probability that a part is in a language a voter knows, for the voter to judge it."""
TINY = 0.02
"""The same for a few letters, which show little of their language."""
SURE_PART = 0.9
"""Least probability of unsafe with which a part that is not the longest counts: few words of
another script are mostly names."""
UNREAD = 0.25
"""Least probability of unsafe for a text in abbreviations: a trained voter cannot read those, so
it does not outvote a list that can, and a text that no list knows is still safe."""
UNREAD_SHARE = 1 / 3
"""Share of a part's letters that abbreviations have in such a text."""
UNLIKE = "unlike what it learned from, or unsafe in quoted or denied words alone"
"""The detail of most abstentions of a voter that cannot tell what a text is."""
_ABBREVIATIONS = re.compile(r"ㅗ|([ㄱ-ㅆㅈㅊㅌㅍ])(?!\1)")
"""Korean letters that stand for words (ㅂㅅ, ㄱㅅ), and ㅗ, a finger. Laughter, tears, faces and
drawn-out cries (ㅋ, ㅠ, ㅇㅅㅇ, ㄷㄷㄷ) do not."""

_LAUGHTER = re.compile(r"\W*(?:lol\W*)+", re.IGNORECASE)
"""Laughter and nothing else, as every spelling of it is reworded: it holds no words."""


class Reading(NamedTuple):
    """The normalised text and its parts by script, the longest first; nothing to read, no parts."""

    text: str
    parts: tuple[Part, ...]

    @property
    def language(self) -> str | None:
        """The most probable language of the longest part."""
        return next(iter(self.parts[0].languages), None) if self.parts else None


def read(content: Content) -> Reading:
    """Normalise and reword a content; find its parts' languages: the caller's, else told ones."""
    text = reworded(normalise(content.text).text)
    if _LAUGHTER.fullmatch(text) or pleasantries.nothing_else(text):
        return Reading(text=text, parts=())
    told, default = content.language, content.default_language
    # A language that is the default one was assumed, unless it can be told.
    known = language.detect(text) if told is not None and told == default else told
    found = language.parts(text, known, default)
    if found:  # the longest part's language reads the whole
        found = (found[0]._replace(text=text), *found[1:])
    return Reading(text=text, parts=found)


def worst(
    reading: Reading, known: Collection[str], probability: Callable[[str, str], float]
) -> float | None:
    """The probability that the worst part is unsafe; None where no part is in a known language.

    `probability(text, language)` judges a text as one in a language. A part that may be in several
    languages has their mean, each with its own probability. Parts behind the longest count where
    they are surely unsafe, or where the longest cannot be read. Where only passages that may be
    meant harmlessly speak for unsafe, it is even odds.
    """
    worst_so_far: float | None = None
    for part in reading.parts:
        shares = {code: share for code, share in part.languages.items() if code in known}
        total = sum(shares.values())
        if total < (KNOWN_SHARE if sum(map(str.isalpha, part.text)) >= language.FEW else TINY):
            continue
        unsafe = _mean(part.text, shares, probability)
        if unsafe > senses.UNSURE:
            rest = senses.without(part.text, next(iter(shares)))
            if rest is not None and not _speaks_for_unsafe(rest, shares, probability):
                unsafe = senses.UNSURE
        unsafe = max(unsafe, UNREAD) if _is_abbreviated(part.text) else unsafe
        if worst_so_far is None or unsafe >= SURE_PART:
            worst_so_far = max(unsafe, worst_so_far or 0.0)
    return worst_so_far


def _mean(
    text: str, shares: Mapping[str, float], probability: Callable[[str, str], float]
) -> float:
    total = sum(shares.values())
    return sum(share * probability(text, code) for code, share in shares.items()) / total


def _speaks_for_unsafe(
    rest: str, shares: Mapping[str, float], probability: Callable[[str, str], float]
) -> bool:
    return any(map(str.isalpha, rest)) and _mean(rest, shares, probability) > senses.SURE_REST


def _is_abbreviated(text: str) -> bool:
    letters = sum(map(str.isalpha, text))
    return len(_ABBREVIATIONS.findall(text)) >= UNREAD_SHARE * letters


def version(trained: str, *others: Path) -> str:
    """Twelve hex digits of a trained voter's numbers and of how it reads a text.

    `others` are the lists that this voter alone reads with.
    """
    lists = b"".join(
        path.read_bytes() for path in (EXPRESSIONS, senses.SENSES, PLEASANTRIES, *others)
    )
    return sha256(f"{trained} {VERSION} ".encode() + lists).hexdigest()[:12]


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


def language_unknown(voter: str, reading: Reading) -> Abstention:
    """The abstention of a voter that knows none of the languages."""
    code = reading.language
    told = "the language cannot be told" if code is None else f"knows no {code}"
    return Abstention(voter=voter, reason=AbstentionReason.LANGUAGE_UNKNOWN, detail=told)


def unlike_training(
    voter: str, attribute_scores: Mapping[Attribute, float], detail: str = UNLIKE
) -> Abstention:
    """The abstention of a voter that cannot tell what such a text is."""
    return Abstention(
        voter=voter,
        reason=AbstentionReason.UNLIKE_TRAINING,
        detail=detail,
        attribute_scores=dict(attribute_scores),
    )
