"""The voter `characters`: logistic regression over hashed character n-grams, pure Python.

A text is lower-cased and decomposed (NFKD), so that a Hangul syllable falls into its jamo and an
accent stands beside its letter: a word spelled around a filter still shares most of its n-grams.
"""

import sys
import unicodedata
from array import array
from functools import cache
from math import sqrt
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from quorum.core.models import Abstention, CastVote, Content, Decision

from embedded import weights
from embedded.calibration import Platt, cast, toxicity, wordless
from embedded.reading import language_unknown, read, windows, worst
from embedded.reading import version as version_of

VOTER = "characters"
WEIGHTS = Path(__file__).with_name("characters.weights")
BITS = 17
"""Bits of an n-gram's hash: the n-grams of a language share 2^17 weights."""
ORDERS = range(1, 7)
"""Lengths of the n-grams, in decomposed characters."""
_MASK = (1 << BITS) - 1
_BYTES = 2  # of a UTF-16 code unit: fixed-width slices need no re-encoding per n-gram
_INTEGER = 2  # bytes of a weight

_REASONS = {
    "ko": {
        Decision.SAFE: "안전한 글에서 자주 보이는 글자 조합입니다.",
        Decision.UNSAFE: "유해한 글에서 자주 보이는 글자 조합입니다.",
    },
    "en": {
        Decision.SAFE: "Its spelling patterns are those of safe texts.",
        Decision.UNSAFE: "Its spelling patterns are those of unsafe texts.",
    },
}


def buckets(text: str) -> set[int]:
    """The numbers below 2^`BITS` of the distinct n-grams of a normalised text."""
    units = f" {unicodedata.normalize('NFKD', text.lower())} ".encode("utf-16-le", "surrogatepass")
    found: set[int] = set()
    for order in ORDERS:
        width = order * _BYTES
        found.update(
            [
                crc32(units[at : at + width]) & _MASK
                for at in range(0, len(units) - width + 1, _BYTES)
            ]
        )
    return found


class Spelling(NamedTuple):
    """One language's numbers. A weight is `unit` times its 16-bit integer."""

    integers: "array[int]"
    unit: float
    intercept: float
    calibration: Platt

    def window_score(self, text: str) -> float:
        """Log-odds before calibration of one window: integers are summed, so it is exact."""
        found = buckets(text)
        total = sum(map(self.integers.__getitem__, found))
        return self.unit * total / sqrt(len(found)) + self.intercept

    def score(self, text: str) -> float:
        """Log-odds before calibration: of the worst window."""
        return max(self.window_score(window) for window in windows(text))


class Scorer(NamedTuple):
    """The trained numbers of every language; shared weights would collide."""

    version: str
    languages: dict[str, Spelling]

    @classmethod
    def of(cls, read_weights: weights.Weights) -> "Scorer":
        """Take the numbers out of a read weights file."""
        described, payload = read_weights.header["languages"], read_weights.payload
        size = (1 << BITS) * _INTEGER
        if len(payload) != size * len(described):
            raise weights.WeightsUnreadable(f"not {len(described)} times {size} bytes")
        languages: dict[str, Spelling] = {}
        for position, spelled in enumerate(described):
            integers = array("h", payload[position * size : (position + 1) * size])
            if sys.byteorder == "big":
                integers.byteswap()
            languages[spelled["language"]] = Spelling(
                integers=integers,
                unit=spelled["unit"],
                intercept=spelled["intercept"],
                calibration=Platt(*spelled["calibration"]),
            )
        return cls(version=version_of(read_weights.version), languages=languages)

    def probability(self, text: str, language: str) -> float:
        """The probability that a text in a trained language is unsafe."""
        spelling = self.languages[language]
        return spelling.calibration.probability(spelling.score(text))


@cache
def scorer() -> Scorer:
    """The trained voter, loaded once; raises `WeightsUnreadable`."""
    return Scorer.of(weights.load(WEIGHTS, VOTER))


def version() -> str:
    """`characters@<12 hex>`, without loading the weights."""
    return f"{VOTER}@{version_of(weights.version(WEIGHTS))}"


def vote(content: Content) -> CastVote | Abstention:
    """Judge a content by its spelling, in the languages it was trained on."""
    reading = read(content)
    trained = scorer()
    if not reading.parts and reading.text:
        return wordless(VOTER, trained.version)
    unsafe = worst(reading, trained.languages.keys(), trained.probability)
    if unsafe is None:
        return language_unknown(VOTER, reading)
    reasons = _REASONS["ko" if reading.language == "ko" else "en"]
    return cast(VOTER, trained.version, unsafe, reasons, toxicity(unsafe))
