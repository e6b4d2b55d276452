"""Normalisation: the text as a reader sees it, without tricks, and a count of the tricks.

Pure. Voters are shown the normalised text, and votes are cached by it, so near-identical
contents (white space, zero-width characters, Unicode form) share one vote. Case stays: shouting
can change a verdict.

These are undone and counted:

* characters that show nothing (zero-width, fillers, tag characters, soft hyphens, controls);
* right-to-left overrides, which show a text backwards: it is turned round, as a reader reads it;
* letters of another alphabet that look like Latin ones, inside a word that is otherwise Latin, and
  words made of nothing else in a text whose other words are Latin.

Characters that are no trick stay and are not counted: joiners inside emoji and between letters of
scripts that need them, and words wholly in another alphabet.

Korean letters stay as a keyboard types them (`quorum.core.hangul`).
"""

import re
import unicodedata

from quorum.core import hangul
from quorum.core.models import Frozen

NORMALISER_VERSION = "2"
"""Changes whenever the normalised form of some text changes: votes are cached by that form."""

_ZWNJ, _ZWJ = "\u200c", "\u200d"
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_VARIATION = re.compile("[\ufe00-\ufe0f]")
"""Characters that choose between two looks of one character. They are dropped, not counted."""
_JOINER = re.compile(f"[{_ZWNJ}{_ZWJ}]")
_OVERRIDDEN = re.compile(
    "\u202e([^\u202a-\u202e\u2028\u2029\n]*)(?:\u202c|(?=[\u202a-\u202e\n])|$)"
)
_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]")

_LOOKALIKES = str.maketrans(
    "АВЕЅІЈКМНОРСТУХԜасеіјорѕухԁԛԝһӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧοανικρυօսոհցᎪᏴᏟᎠᎬᎻᎫᏦᏞᎷᏢᏒᏚᎢᏙᎳᏃ",
    "ABESIJKMHOPCTYXWaceijopsyxdqwhlABEZHIKMNOPTYXoavikpuounhgABCDEHJKLMPRSTVWZ",
)
"""Letters a reader takes for Latin ones (Unicode TR 39, single characters): Cyrillic, Greek,
Armenian and Cherokee."""
_SMALL_CAPITALS = str.maketrans("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢɑɡ", "abcdefghijklmnoprstuvwyzag")
"""Latin letters in the shape of capitals, which Unicode does not fold."""
_FOREIGN = re.compile(f"[{''.join(map(chr, _LOOKALIKES))}]")
_FOREIGN_WORD = re.compile(f"(?:{_FOREIGN.pattern})+")
_OTHER_ALPHABETS = re.compile(
    f"(?!{_FOREIGN.pattern})[\u0370-\u03ff\u0400-\u052f\u0531-\u058f\u13a0-\u13ff]"
)
"""A letter of an alphabet with lookalikes that is none: the text really is in that alphabet."""

_BLACK_LETTERS = str.maketrans(
    {first + letter: chr(ord("A") + letter) for first in (0x1F150, 0x1F170) for letter in range(26)}
)
"""White letters in black circles and squares: NFKC leaves them, but not those on white."""
_BLACK_WORD = re.compile("[\U0001f150-\U0001f169\U0001f170-\U0001f189]{2,}")
"""Two of them or more; one alone is an emoji (a blood group, a car park)."""

_JOINING_SCRIPTS = (
    "ARABIC", "SYRIAC", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI", "ORIYA", "TAMIL", "TELUGU",
    "KANNADA", "MALAYALAM", "SINHALA", "KHMER", "MYANMAR", "MONGOLIAN", "TIBETAN", "NKO",
)  # fmt: skip


class Normalised(Frozen):
    """`text` as a reader sees it, and the number of characters that were tricks.

    `hidden` showed nothing, `reversed` were written backwards, `disguised` came from another
    alphabet.
    """

    text: str
    hidden: int = 0
    reversed: int = 0
    disguised: int = 0

    @property
    def tricks(self) -> str:
        """The tricks that were undone, in words; empty when there were none."""
        counted = (
            (self.hidden, "invisible"),
            (self.reversed, "written backwards"),
            (self.disguised, "from another alphabet"),
        )
        return ", ".join(f"{count} characters {how}" for count, how in counted if count)


def normalise(text: str) -> Normalised:
    """NFKC (Korean letters as typed), tricks undone, white space folded to single blanks.

    Normalising a normalised text changes nothing.
    """
    return _plain(text) if text.isascii() else _any(text)


def _plain(text: str) -> Normalised:
    """As `_any`, of a text in ASCII, sooner: only controls and white space can be tricks in it."""
    shown, hidden = _HIDDEN.subn("", text)
    return Normalised(text=_SPACE.sub(" ", shown).strip(), hidden=hidden)


def _any(text: str) -> Normalised:
    whole = text.encode(errors="replace").decode()  # half a surrogate pair is no character
    turned, backwards = _turned_round(_composed(whole))
    shown, hidden = _HIDDEN.subn("", _VARIATION.sub("", turned))
    joined, joiners = _without_idle_joiners(shown)
    plain = _BLACK_WORD.sub(lambda word: word[0].translate(_BLACK_LETTERS), joined)
    composed = hangul.joined(_composed(plain.translate(_SMALL_CAPITALS)))
    undisguised, disguised = _undisguised(composed)
    return Normalised(
        text=_SPACE.sub(" ", undisguised).strip(),
        hidden=hidden + joiners,
        reversed=backwards,
        disguised=disguised,
    )


def _composed(text: str) -> str:
    """NFKC of everything but single Korean letters."""
    if not hangul.has_letters(text):
        return unicodedata.normalize("NFKC", text)
    return hangul.as_typed(text)


def _turned_round(text: str) -> tuple[str, int]:
    """The text as an override shows it, and the number of characters that were turned."""
    turned = 0

    def read_backwards(found: re.Match[str]) -> str:
        nonlocal turned
        turned += len(found[1])
        return found[1][::-1]

    return _OVERRIDDEN.sub(read_backwards, text), turned


def _without_idle_joiners(text: str) -> tuple[str, int]:
    """The text without joiners between letters that are never joined, and their number."""
    removed = 0

    def keep_if_needed(found: re.Match[str]) -> str:
        nonlocal removed
        before, after = text[found.start() - 1 : found.start()], text[found.end() : found.end() + 1]
        if _joins(before) and (_joins(after) or found[0] == _ZWNJ):
            return found[0]
        removed += 1
        return ""

    return _JOINER.sub(keep_if_needed, text), removed


def _joins(character: str) -> bool:
    """Whether it is an emoji, a sign or a mark, or a letter of a script with joined forms."""
    if not character:
        return False
    if unicodedata.category(character) in {"So", "Sk", "Mn", "Mc"}:
        return True
    return unicodedata.name(character, "").startswith(_JOINING_SCRIPTS)


def _undisguised(text: str) -> tuple[str, int]:
    """The text with lookalikes replaced by Latin letters, and their number."""
    if not _FOREIGN.search(text):
        return text, 0
    changed = 0
    latin_text = bool(_LATIN.search(text)) and not _OTHER_ALPHABETS.search(text)

    def in_latin(found: re.Match[str]) -> str:
        nonlocal changed
        word = found[0]
        if not (_LATIN.search(word) or (latin_text and _FOREIGN_WORD.fullmatch(word))):
            return word
        latin = word.translate(_LOOKALIKES)
        changed += sum(old != new for old, new in zip(word, latin, strict=True))
        return latin

    return _WORD.sub(in_latin, text), changed
