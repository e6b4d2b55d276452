"""Spellings that hide a word from a list, undone: for the lists only, never for what is shown.

Pure. A list matches what is written. A reader also reads through a digit or a sign inside a
word (시1발, b0mb), letters set apart (k i l l), drawn-out vowels (시이이발) and repeated letters.
Undoing them gives other texts for the lists to read. That must not make a listed word out of
innocent neighbours: 도시.발전 stays as it is because its pieces are words, and 3시1분 because it
is a time.
"""

import re
from itertools import pairwise

from quorum.core import hangul

VERSION = "2"
"""Changes whenever some text is respelled otherwise: the lists' votes are kept by it."""

_HANGUL = "가-힣ㄱ-ㅣ"
_STOPS = ".,:;?!…~"
"""Signs that stand between sentences and clauses as well."""
_SIGNS = r"0-9!-/:-@\[-`{-~·ㆍ…♡♥★☆○●◎◇◆□■※～"
_TOKEN = re.compile(
    f"(?<![0-9A-Za-z{_HANGUL}])[{_HANGUL}]+(?:[{_SIGNS}]{{1,8}}[{_HANGUL}]+)+(?![0-9A-Za-z{_HANGUL}])"
)
"""Korean letters with digits or signs between them, and no blank."""
_GAP = re.compile(f"([{_SIGNS}]+)")
_WHOLE_WORD = 4
"""Syllables of a token that may hold stops: longer ones are clauses."""
_REPEATED = re.compile(r"([^\W\d_])\1{2,}")
_SPELLED_OUT = re.compile(
    r"(?<![^\W\d_])[^\W\d_](?:([ .\-_*/|])[^\W\d_])(?:\1[^\W\d_])+(?![^\W\d_])"
)
"""Three letters or more, with the same sign or a blank between them."""
_LONG_RUN = 11
"""Characters of six letters that are set apart."""
_BASES = {"0": "o", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_LEET = tuple(str.maketrans(_BASES | dict.fromkeys("1!|", stroke)) for stroke in "il")
"""Digits and signs that stand for Latin letters; a stroke is an i or an l."""
_LEET_WORD = re.compile(r"(?<![\w@$])(?!@[a-z])(?=[\w@$!|]{4})[a-z013457@$!|]+(?!\w)")
"""Four letters, digits and signs or more: a match takes them all, so a text is read once."""
_LEET_PAIR = re.compile(r"[a-z][013457@$!|]|[013457@$|][a-z]")
"""What such a word holds if its digits and signs stand for letters."""
_LETTERS_IN_SHAPES = {
    0x1F1E6 + position: letter for position, letter in enumerate("abcdefghijklmnopqrstuvwxyz")
}
"""The letters that flags are made of."""
_IN_SHAPES = re.compile("[\U0001f1e6-\U0001f1ff]{3,}")
_FIRST, _LAST = 0xAC00, 0xD7A3
_FINALS, _VOWELS = 28, 21
"""Numbers of finals (none included) and vowels in Unicode's order of syllables."""
_ENDS_IN = {2: 0, 3: 1, 6: 4, 7: 5, 9: 0, 12: 8, 14: 4, 17: 13}
"""The plain vowel that a drawn-out diphthong ends in: ㅑ in ㅏ, ㅕ in ㅓ, ㅠ in ㅜ, …"""
_I = 20
"""The number of the vowel ㅣ."""
_SILENT = 11
"""The number of the initial ㅇ, which has no sound."""


def set_apart(text: str) -> bool:
    """Whether six letters or more stand in a row with the same sign or a blank between them.

    Where the words end cannot be told, so lists do not find what is spelled: "k i l l y o u".
    """
    return any(len(run[0]) >= _LONG_RUN for run in _SPELLED_OUT.finditer(text))


def respelled(text: str) -> tuple[str, ...]:
    """The other texts that a reader may see in a normalised text; empty where there is none."""
    plain = _IN_SHAPES.sub(lambda run: run[0].translate(_LETTERS_IN_SHAPES), text).lower()
    plain = _SPELLED_OUT.sub(lambda word: word[0].replace(word[1], ""), plain)
    plain = hangul.joined(plain)
    plain = _undrawn(_REPEATED.sub(r"\1", _TOKEN.sub(_without_gaps, plain)))
    readings = dict.fromkeys(_REPEATED.sub(r"\1", _unleeted(plain, leet)) for leet in _LEET)
    return tuple(reading for reading in readings if reading != text.lower())


def _without_gaps(found: re.Match[str]) -> str:
    """A Korean token without the signs beside its single syllables."""
    token = found[0]
    pieces = _GAP.split(token)
    words, gaps = pieces[::2], pieces[1::2]
    syllables = sum(map(len, words))
    numbers = sum(any(sign.isdigit() for sign in gap) for gap in gaps)
    joined = words[0]
    for (before, after), gap in zip(pairwise(words), gaps, strict=True):
        alone = min(len(before), len(after)) == 1
        a_stop = any(sign in _STOPS for sign in gap)
        a_number = any(sign.isdigit() for sign in gap)
        keep = not alone or (a_stop and syllables > _WHOLE_WORD) or (a_number and numbers > 1)
        joined += (gap if keep else "") + after
    return joined


def _undrawn(text: str) -> str:
    """The text without vowels that only draw out the syllable before: 시이이발 as 시발.

    One such vowel is enough; two of 이 inside a word, which often begins another (도시이발소).
    """
    out: list[str] = []
    ends: dict[int, int] = {}  # by vowel, the end of what draws it out: no letter is read again
    at = 0
    while at < len(text):
        character = text[at]
        vowel, final = _sound(character)
        end = at + 1
        if vowel >= 0 and final == 0:
            if end > ends.get(vowel, 0):
                ends[vowel] = _drawn_to(text, end, vowel)
            end = ends[vowel]
        extra = end - at - 1
        starts = at == 0 or not _is_syllable(text[at - 1])
        closes = end < len(text) and _is_syllable(text[end])
        if extra >= (2 if vowel == _I and not starts else 1) and (
            closes or _sound(text[end - 1])[1]
        ):
            character = chr(ord(character) + max(0, _sound(text[end - 1])[1]))
            at = end
        else:
            at += 1
        out.append(character)
    return "".join(out)


def _drawn_to(text: str, at: int, vowel: int) -> int:
    """The end of the syllables from `at` on that draw out a vowel; one with a final is the last."""
    while at < len(text) and _draws(text[at], vowel):
        at += 1
        if _sound(text[at - 1])[1]:
            break
    return at


def _is_syllable(character: str) -> bool:
    return _FIRST <= ord(character) <= _LAST


def _sound(character: str) -> tuple[int, int]:
    """The numbers of a syllable's vowel and final; -1 and 0 for anything else."""
    if not _is_syllable(character):
        return -1, 0
    number = ord(character) - _FIRST
    return number // _FINALS % _VOWELS, number % _FINALS


def _draws(character: str, vowel: int) -> bool:
    """Whether the syllable has no initial sound, and the sound in which this vowel ends."""
    if not _is_syllable(character):
        return False
    initial = (ord(character) - _FIRST) // (_FINALS * _VOWELS)
    return initial == _SILENT and _sound(character)[0] in {vowel, _ENDS_IN.get(vowel)}


def _unleeted(text: str, leet: dict[int, str]) -> str:
    def read(found: re.Match[str]) -> str:
        word = found[0]
        return word.translate(leet) if _LEET_PAIR.search(word) else word

    return _LEET_WORD.sub(read, text)
