"""The text in bytes that are not Unicode, by the encoding they name or else by a detected one.

Labels mean the same as on the web (the WHATWG's Encoding Standard): iso-8859-1 is windows-1252,
euc-kr is windows-949, gb2312 is gb18030. If no encoding is named, two independent detectors must
agree, except on a western text. A text too short for certainty is refused rather than misread.
"""

import re

import chardet
import chardetng_py
import webencodings

from quorum.core.errors import DocumentUnreadable

_SAMPLE_BYTES = 256 * 1024
"""Bytes of a file that the detectors see."""
_HEAD = 4096
"""Bytes at the start of a page that are searched for its encoding; the standard says 1,024."""
_SUPERSETS = {
    "windows-1252": "cp1252", "windows-874": "cp874", "euc-kr": "cp949", "shift_jis": "cp932",
    "gbk": "gb18030", "big5": "big5hkscs", "iso-8859-8-i": "iso8859_8",
    "x-mac-cyrillic": "mac_cyrillic", "macintosh": "mac_roman",
}  # fmt: skip
"""Python's codec for a label that means something else on the web than in Python."""
_WIDTH_MARKED = frozenset(("utf-16le", "utf-16be"))
"""Labels that cannot be true in a page that states them in ASCII; the standard reads UTF-8."""
_RARE = frozenset(("cp1257", "windows-1257", "iso-8859-13", "iso-8859-4", "iso-8859-10"))
"""Encodings that detectors report for short texts that are more likely western."""
_RARE_LETTERS = 4
_WESTERN = "cp1252"
_OF_TURKISH = re.compile("[ðþÐÞÝ]")
"""The letters that ğ, ş, Ğ, Ş and İ of windows-1254 become in windows-1252."""
_SENTENCES_BYTES = 200
"""Bytes of a text from which on Icelandic and Turkish can be told apart."""
_EAST_ASIAN = frozenset(("cp949", "cp932", "euc-jp", "gb18030", "big5hkscs", "iso-2022-jp"))
_SURE = 0.5
"""Confidence of chardet, at least, to be believed alone about such an encoding."""
_SENTENCE_LETTERS = 12
"""Letters, at least, of a western text for which a detector reports a rare encoding."""
_PLAIN_LETTERS = 2
"""Plain letters, at least, for each accented one in a western text."""
_PYTHONS_OWN = re.compile(r"(?:cp|ms|mac|euc|iso)[\w-]*|johab|uhc|big5[\w-]*", re.IGNORECASE)
"""Labels that Python knows and browsers do not, without utf-7 and unicode_escape."""
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)


def text_in(data: bytes, media_type: str | None) -> str:
    """The text; raises `DocumentUnreadable` (unknown_encoding) if its encoding is uncertain."""
    head = data[:_HEAD].decode("latin-1")
    named = _CHARSET.search(media_type or "") or (_CHARSET.search(head) if "<" in head else None)
    if named and (text := _decoded(data, _codec(named[1]))) is not None:
        return text
    found = _decoded(data, detected(data))
    if found is None:
        raise DocumentUnreadable(
            "the file's character encoding is not certain: send it as UTF-8, or name its charset",
            code="unknown_encoding",
        )
    return found


def _codec(label: str) -> str | None:
    """Python's codec for a label; None if it is not a text encoding."""
    known = webencodings.lookup(label)
    if known is not None:
        return None if known.name in _WIDTH_MARKED else _SUPERSETS.get(known.name, known.name)
    return label.lower() if _PYTHONS_OWN.fullmatch(label) else None


def detected(data: bytes) -> str | None:
    """The codec that two detectors agree on, or that one is sure of; else None."""
    sample = data[:_SAMPLE_BYTES]
    if len(data) > len(sample):
        sample = sample.rpartition(b"\n")[0] or sample
    first, guess = _codec(chardetng_py.detect(sample)), chardet.detect(sample)
    second = _codec(str(guess["encoding"]))
    text = _decoded(sample, first)
    letters = sum(not character.isascii() for character in text or "")
    is_rare = first in _RARE and letters < _RARE_LETTERS
    may_be_turkish = first == _WESTERN and bool(_OF_TURKISH.search(text or ""))
    if len(sample) < _SENTENCES_BYTES and may_be_turkish:
        return None
    if text is not None and text == _decoded(sample, second) and not is_rare:
        return first
    if second in _EAST_ASIAN and guess["confidence"] >= _SURE:
        return second
    if first != _WESTERN and not is_rare:
        return None
    western = _decoded(sample, _WESTERN)
    least = _SENTENCE_LETTERS if is_rare else 1
    return _WESTERN if western is not None and _is_western(western, least) else None


def _is_western(text: str, least: int) -> bool:
    """Whether a text has at least `least` letters, with at most one accented for two plain."""
    letters = [character for character in text if character.isalpha()]
    accented = sum(not character.isascii() for character in letters)
    return len(letters) >= least and accented * _PLAIN_LETTERS <= len(letters) - accented


def _decoded(data: bytes, codec: str | None) -> str | None:
    """The decoded text; None if it cannot be decoded or has lone surrogates."""
    if codec is None:
        return None
    try:
        return data.decode(codec).encode(errors="replace").decode()
    except (LookupError, UnicodeError):
        return None
