"""The voter `rules`: lists of abusive words, each rule with its measured precision.

korcen for Korean, safetype and badwords-py for the rest, and words of our own (`words.json`) that
these leave out. They read the text, and what it spells once disguises are undone. A hit votes
unsafe with the precision of the most precise rule that fired; a mention of a topic that no small
model can judge votes for review; without a hit the voter abstains, since that does not show that a
text is safe.
"""

import contextlib
import io
import json
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from quorum.core.abstentions import AbstentionReason
from quorum.core.models import (
    Abstention,
    Attribute,
    CastVote,
    Category,
    Content,
    Decision,
)

from embedded import senses, topics
from embedded.calibration import toxicity
from embedded.disguises import VERSION as DISGUISES_VERSION
from embedded.disguises import respelled, set_apart
from embedded.innocent import EXPRESSIONS
from embedded.reading import Reading, language_unknown, read

VOTER = "rules"
VERSION = "3"
"""Changes whenever a vote on the same hits holds something else: votes are kept by it."""
SIGNS = "signs"
"""The rule of words that are the same in every language."""
EVERY = "*"
"""The key of words that are the same in every language."""
PRECISIONS = Path(__file__).with_name("rules.json")
WORDS = Path(__file__).with_name("words.json")
"""Patterns of words, by language, that none of the packages lists."""

KORCEN_LEVELS = {
    "general": Category.HARASSMENT,
    "minor": Category.HARASSMENT,
    "sexual": Category.SEXUAL,
    "belittle": Category.HARASSMENT,
    "race": Category.HATE,
    "parent": Category.HARASSMENT,
    "special": Category.HARASSMENT,
    "politics": Category.HARASSMENT,
}
SAFETYPE_CATEGORIES = {
    "profanity": Category.HARASSMENT,
    "harassment": Category.HARASSMENT,
    "hate": Category.HATE,
    "sexual": Category.SEXUAL,
}
SAFETYPE_LANGUAGES = {
    "de": ("de",),
    "en": ("en",),
    "es": ("es",),
    "fr": ("fr",),
    "hi": ("hi", "hi-latn"),
    "pt": ("pt",),
}
ACROSS_WORDS = " across words"
"""Ends the name of a rule that fires on a text and on none of its words: korcen overlooks blanks
and stops, and takes 도시 발전 (the city grows) for a curse. Its precision is measured by itself."""
_LATIN = re.compile("[A-Za-z]")
_WORD = re.compile(r"[^\s.,:;?!…~/·]+")
KORCEN_FOREIGN_LEVELS = {"ja": "japanese", "zh": "chinese"}
BADWORDS_LANGUAGES = frozenset(
    [
        "cs",
        "da",
        "de",
        "el",
        "en",
        "es",
        "fi",
        "fr",
        "hu",
        "id",
        "it",
        "ja",
        "ko",
        "nl",
        "no",
        "pl",
        "pt",
        "ro",
        "ru",
        "sv",
        "th",
        "tr",
        "uk",
    ]
)
COMMON = "en"
"""The language of the lists that also read what may be in any: a text without words, and one in
Latin letters whose language is not sure. Its curses are known everywhere."""
LANGUAGES = (
    BADWORDS_LANGUAGES
    | SAFETYPE_LANGUAGES.keys()
    | KORCEN_FOREIGN_LEVELS.keys()
    | topics.languages()
)
"""Languages for which some list exists, of abusive words or of topics."""

_CATEGORIES = {
    **{f"korcen {level}": category for level, category in KORCEN_LEVELS.items()},
    **{f"korcen {level}{ACROSS_WORDS}": category for level, category in KORCEN_LEVELS.items()},
    **{f"korcen {level}": Category.HARASSMENT for level in KORCEN_FOREIGN_LEVELS.values()},
    "badwords": Category.HARASSMENT,
    "words": Category.HARASSMENT,
    SIGNS: Category.HARASSMENT,
}
_REASONS = {
    "ko": "욕설·비하 낱말 목록에 있는 표현이 있습니다 ({rule}).",
    "en": "Contains an expression on a list of abusive words ({rule}).",
}

_MENTIONS = {
    "ko": "사람이 확인해야 할 주제를 언급합니다 ({topic}).",
    "en": "Mentions a topic a person should look at ({topic}).",
}

_SET_APART = {
    "ko": "글자를 하나씩 띄어 썼고, 무슨 말인지 목록에 없습니다.",
    "en": "Its letters are set apart, and no list has what they spell.",
}

_OTHER_SENSES = {
    "ko": "욕설 목록의 표현이지만 인용·부정이거나 다른 뜻일 수 있습니다 ({rule}).",
    "en": "An expression on a list of abusive words may be quoted, denied or meant otherwise"
    " ({rule}).",
}


@cache
def _korcen() -> Any:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # korcen's source has stray escapes, and it prints
        from korcen import korcen  # noqa: PLC0415 -- only Korean, Chinese and Japanese need it
    return korcen


@cache
def _safetype(language: str) -> Any:
    from safetype import create_moderation_engine  # noqa: PLC0415 -- only six languages need it

    return create_moderation_engine(
        mode="block", language=language, languages=list(SAFETYPE_LANGUAGES[language])
    )


@cache
def _badwords(language: str) -> Callable[[str], bool]:
    from badwords import Options, ProfanityFilter  # noqa: PLC0415 -- loads a native library

    lists = ProfanityFilter()
    lists.init(
        languages=[language],
        options=Options(split_on_punctuation=True, collapse_repeats=True),
    )
    is_profane: Callable[[str], bool] = lists.is_profane
    return is_profane


@cache
def _words() -> dict[str, re.Pattern[str]]:
    listed: dict[str, list[str]] = json.loads(WORDS.read_text(encoding="utf-8"))
    return {language: re.compile("|".join(patterns)) for language, patterns in listed.items()}


def _words_of(text: str) -> Iterator[str]:
    """The words of a Korean text, and each two neighbours of which one is a single character."""
    words = [found.span() for found in _WORD.finditer(text)]
    for start, end in words:
        yield text[start:end]
    for (first, first_end), (second, second_end) in pairwise(words):
        if first_end - first == 1 or second_end - second == 1:
            yield text[first:second_end]


def _korcen_fired(text: str) -> Iterator[str]:
    for level in KORCEN_LEVELS:
        listed = getattr(_korcen(), level)
        if listed(text):
            within = any(map(listed, _words_of(text)))
            yield f"korcen {level}" if within else f"korcen {level}{ACROSS_WORDS}"


def _fired(text: str, language: str) -> Iterator[str]:
    if language == "ko":
        yield from _korcen_fired(text)
    if language in KORCEN_FOREIGN_LEVELS:
        level = KORCEN_FOREIGN_LEVELS[language]
        if getattr(_korcen(), level)(text):
            yield f"korcen {level}"
    if language in SAFETYPE_LANGUAGES:
        for match in _safetype(language).moderate(text).matches:
            yield f"safetype {match.category} {match.severity}"
    if language in BADWORDS_LANGUAGES and _badwords(language)(text):
        yield "badwords"
    if language in _words() and _words()[language].search(text):
        yield "words"
    if _words()[EVERY].search(text):
        yield SIGNS


def fired(text: str, language: str) -> frozenset[str]:
    """Names of all rules that fire on a normalised text, whatever their precision.

    The lists also read the text with its disguises undone.
    """
    return frozenset(
        rule for spelling in (text, *respelled(text)) for rule in _fired(spelling, language)
    )


def category(rule: str) -> Category:
    """The finest category of a rule; plain profanity counts as harassment."""
    package, _, kind = rule.partition(" ")
    if package == "safetype":
        return SAFETYPE_CATEGORIES[kind.split()[0]]
    return _CATEGORIES[rule]


class Precisions(NamedTuple):
    """The precision of each rule by language; `unmeasured` is for other languages.

    `profanity` has by language the probability of profanity with a listed word and without.
    """

    version: str
    measured: dict[str, dict[str, float]]
    unmeasured: float
    profanity: Mapping[str, tuple[float, float]] = MappingProxyType({})

    @classmethod
    def of(cls, text: str) -> "Precisions":
        """Read the file that `python -m training.train` writes."""
        data = json.loads(text)
        return cls(
            version=sha256(text.encode()).hexdigest()[:12],
            measured=data["measured"],
            unmeasured=data["unmeasured"],
            profanity={
                language: (with_word, without)
                for language, (with_word, without) in data.get("profanity", {}).items()
            },
        )

    def sure(self, rules: frozenset[str], language: str) -> dict[str, float]:
        """The rules that count in this language, with their precision."""
        known = self.measured.get(language)
        if known is None:
            return dict.fromkeys(rules, self.unmeasured)
        if SIGNS in rules:
            known = {SIGNS: self.unmeasured} | known
        return {rule: known[rule] for rule in rules if rule in known}


@cache
def precisions() -> Precisions:
    """The measured precisions, loaded once."""
    return Precisions.of(PRECISIONS.read_text(encoding="utf-8"))


@cache
def version() -> str:
    """`rules@<12 hex>` of the measured precisions and of everything else that makes a vote."""
    return f"{VOTER}@{version_of(PRECISIONS)}"


def version_of(measured: Path) -> str:
    """Twelve hex digits of the precisions in that file and of everything else."""
    files = (measured, WORDS, topics.TOPICS, EXPRESSIONS, senses.SENSES)
    known = b"".join(path.read_bytes() for path in files)
    known += f"{DISGUISES_VERSION} {VERSION}".encode()
    return sha256(known).hexdigest()[:12]


class _Search(NamedTuple):
    """A text and the language of the lists that read it; `assumed` if it may be another's."""

    text: str
    language: str
    assumed: bool


def _searched(reading: Reading, default: str | None) -> list[_Search]:
    """What the lists read: each part in each language that it may be in and that has lists.

    A text without words is read as well: letters may stand in shapes and links.
    """
    if not reading.parts and reading.text:
        usual = dict.fromkeys(code for code in (default, COMMON) if code in LANGUAGES)
        return [_Search(reading.text, code, assumed=True) for code in usual if code is not None]
    searched: list[_Search] = []
    for part in reading.parts:
        codes = list(part.languages)
        if max(part.languages.values(), default=0.0) < 1 and _LATIN.search(part.text) is not None:
            codes = list(dict.fromkeys((*codes, COMMON)))
        searched += [
            _Search(part.text, code, assumed=position > 0)
            for position, code in enumerate(codes)
            if code in LANGUAGES
        ]
    return searched


def _found(searched: Iterable[_Search]) -> dict[str, float]:
    """The rules that count, with their precision: at most the unmeasured one where assumed."""
    known = precisions()
    found: dict[str, float] = {}
    for text, language, assumed in searched:
        for rule, precision in known.sure(fired(text, language), language).items():
            counted = min(precision, known.unmeasured) if assumed else precision
            found[rule] = max(counted, found.get(rule, 0.0))
    return found


def vote(content: Content) -> CastVote | Abstention:
    """Judge a content by the words in it: unsafe, a topic for a person to look at, or no opinion.

    A vote for review has confidence 0.5: a mention alone does not show what is meant.
    """
    reading = read(content)
    searched = _searched(reading, content.default_language)
    if not searched:
        return language_unknown(VOTER, reading)
    sure = _found(searched)
    touched = [topic for text, code, _ in searched for topic in topics.mentioned(text, code)]
    korean_or_english = "ko" if reading.language == "ko" else "en"
    profane = _profanity(reading, found=bool(sure))
    if not sure and touched:
        return _for_review(_MENTIONS[korean_or_english].format(topic=touched[0]), profane)
    if not sure and set_apart(reading.text):
        return _for_review(_SET_APART[korean_or_english], profane)
    if not sure:
        return Abstention(
            voter=VOTER,
            reason=AbstentionReason.NOTHING_FOUND,
            detail="no listed word found",
            attribute_scores=profane,
        )
    surest = max(sorted(sure), key=sure.__getitem__)
    if not _found(_rests(searched)):
        return _for_review(_OTHER_SENSES[korean_or_english].format(rule=surest), profane)
    scores: dict[str, float] = {}
    for rule, precision in sorted(sure.items()):
        scores[category(rule)] = max(precision, scores.get(category(rule), 0.0))
    return CastVote(
        voter=VOTER,
        model=version(),
        decision=Decision.UNSAFE,
        confidence=sure[surest],
        confidence_measured=sure[surest],
        scores=scores,
        attribute_scores=toxicity(sure[surest]) | profane,
        reason=_REASONS[korean_or_english].format(rule=surest),
    )


def _rests(searched: Iterable[_Search]) -> list[_Search]:
    """What is left to read without the passages that may be meant harmlessly."""
    rests = ((search, senses.without(search.text, search.language)) for search in searched)
    return [search if rest is None else search._replace(text=rest) for search, rest in rests]


def _profanity(reading: Reading, *, found: bool) -> dict[Attribute, float]:
    """The probability of profanity, in a language where it was measured."""
    measured = precisions().profanity.get(reading.language or "")
    if measured is None:
        return {}
    with_word, without = measured
    return {Attribute.PROFANITY: with_word if found else without}


def _for_review(reason: str, attribute_scores: dict[Attribute, float]) -> CastVote:
    return CastVote(
        voter=VOTER,
        model=version(),
        decision=Decision.NEEDS_REVIEW,
        confidence=0.5,
        attribute_scores=attribute_scores,
        reason=reason,
    )
