"""Korean letters (jamo): as a keyboard types them, and joined to syllables. Pure.

A keyboard types single letters as *compatibility* jamo (U+3131 to U+318E): ㅋㅋㅋ, ㅠㅠ, ㅇㅇ.
NFKC turns them into *conjoining* jamo (U+1100 to U+11FF), which look the same and are other
characters: a word list does not know them, and a language model pays several tokens for each.
"""

import re
import unicodedata

_KEYBOARD = "ㄱ-ㅣㅥ-ㆎ"
"""Compatibility jamo without the filler (U+3164), which shows nothing."""
_HALF_WIDTH = "\uffa1-\uffbe\uffc2-\uffc7\uffca-\uffcf\uffd2-\uffd7\uffda-\uffdc"
_FULL_WIDTH = {
    half: chr(int(form.split()[1], 16))
    for half in range(0xFFA1, 0xFFDD)
    if (form := unicodedata.decomposition(chr(half)))
}
"""Half-width letters and the keyboard's: what Unicode calls their compatibility decomposition."""
_CONJOINING = "\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff"
_LETTER = re.compile(f"[{_KEYBOARD}{_HALF_WIDTH}{_CONJOINING}㈀-㈍㉠-㉭]")
_NOT_KEYBOARD = re.compile(f"[^{_KEYBOARD}]+")
_CONJOINING_RUN = re.compile(f"[{_CONJOINING}]+")

_INITIALS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
_VOWELS = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
_FINALS = "ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ"
"""The letters of a syllable in Unicode's order (chapter 3.12 of the standard)."""
_PAIRS = {
    "ㅗㅏ": "ㅘ", "ㅗㅐ": "ㅙ", "ㅗㅣ": "ㅚ", "ㅜㅓ": "ㅝ", "ㅜㅔ": "ㅞ", "ㅜㅣ": "ㅟ",
    "ㅡㅣ": "ㅢ", "ㄱㅅ": "ㄳ", "ㄴㅈ": "ㄵ", "ㄴㅎ": "ㄶ", "ㄹㄱ": "ㄺ", "ㄹㅁ": "ㄻ",
    "ㄹㅂ": "ㄼ", "ㄹㅅ": "ㄽ", "ㄹㅌ": "ㄾ", "ㄹㅍ": "ㄿ", "ㄹㅎ": "ㅀ", "ㅂㅅ": "ㅄ",
}  # fmt: skip
"""Two keys that give one letter."""
_FIRST_SYLLABLE = 0xAC00

_TO_KEYBOARD = {
    first + position: letter
    for first, letters in ((0x1100, _INITIALS), (0x1161, _VOWELS), (0x11A8, _FINALS))
    for position, letter in enumerate(letters)
}

_VOWEL_PAIRS = "|".join(pair for pair in _PAIRS if pair[0] in _VOWELS)
_FINAL_PAIRS = "|".join(pair for pair in _PAIRS if pair[0] not in _VOWELS)
_SYLLABLE = (
    f"([{_INITIALS}])({_VOWEL_PAIRS}|[{_VOWELS}])((?:{_FINAL_PAIRS}|[{_FINALS}])(?![{_VOWELS}]))?"
)
_ONE_SYLLABLE = re.compile(_SYLLABLE)
_SYLLABLES = re.compile(f"(?:{_SYLLABLE})+")
_KEYBOARD_RUN = re.compile("[ㄱ-ㅣ]+")
_FACES = re.compile("(?:[ㅋㅎ][ㅠㅜㅡ]|ㅇ[ㅡㅗㅜ]ㅇ)+")
"""Laughter with tears and faces, which happen to spell syllables."""


def has_letters(text: str) -> bool:
    """Whether `text` holds single Korean letters in any form."""
    return not text.isascii() and _LETTER.search(text) is not None


def as_typed(text: str) -> str:
    """NFKC, but single Korean letters of every form become those that a keyboard types.

    Letters that were decomposed (NFD) are composed to syllables. Old Korean stays conjoining:
    its letters have no other form.
    """
    typed = text.translate(_FULL_WIDTH)
    typed = _NOT_KEYBOARD.sub(lambda found: unicodedata.normalize("NFKC", found[0]), typed)
    return _CONJOINING_RUN.sub(_on_keyboard, typed)


def joined(text: str) -> str:
    """`text` with syllables whose letters stand apart (ㅎㅏㄴㄱㅡㄹ) put together (한글).

    Only a run that is syllables from end to end is joined, and a single syllable only beside
    another: abbreviations (ㅅㅂ), laughter and faces stay.
    """

    def join(run: re.Match[str]) -> str:
        letters = run[0]
        if not _SYLLABLES.fullmatch(letters) or _FACES.fullmatch(letters):
            return letters
        together = _ONE_SYLLABLE.sub(_syllable, letters)
        beside = text[max(0, run.start() - 1) : run.start()] + text[run.end() : run.end() + 1]
        return together if len(together) > 1 or any(map(is_syllable, beside)) else letters

    # A syllable put together may take a conjoining letter that stood behind it.
    return unicodedata.normalize("NFC", _KEYBOARD_RUN.sub(join, text))


def is_syllable(character: str) -> bool:
    """Whether it is a whole Korean syllable."""
    return "가" <= character <= "힣"


def _on_keyboard(found: re.Match[str]) -> str:
    letters = found[0]
    if any(ord(letter) not in _TO_KEYBOARD for letter in letters):
        return letters
    return letters.translate(_TO_KEYBOARD)


def _syllable(found: re.Match[str]) -> str:
    initial, vowel, final = found[1], found[2], found[3]
    number = _INITIALS.index(initial) * len(_VOWELS) + _VOWELS.index(_PAIRS.get(vowel, vowel))
    number *= len(_FINALS) + 1
    number += 1 + _FINALS.index(_PAIRS.get(final, final)) if final else 0
    return chr(_FIRST_SYLLABLE + number)
