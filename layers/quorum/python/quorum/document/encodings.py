"""The text in bytes that are not Unicode: by the encoding they name, else by the one they are in.

Labels mean what they mean on the web (the WHATWG's Encoding Standard): iso-8859-1 is windows-1252,
euc-kr is windows-949, gb2312 is gb18030. Where nothing is named, two detectors that know nothing of
each other have to agree, except on a western text; a text too short to tell is refused rather than
read as another.
"""

import re

import chardet
import chardetng_py
import webencodings

from quorum.core.errors import DocumentUnreadable

_SAMPLE_BYTES = 256 * 1024
"""What the detectors are shown of a file, in bytes."""
_HEAD = 4096
"""Bytes in which a page names its encoding; the standard says 1,024."""
_SUPERSETS = {
    "windows-1252": "cp1252", "windows-874": "cp874", "euc-kr": "cp949", "shift_jis": "cp932",
    "gbk": "gb18030", "big5": "big5hkscs", "iso-8859-8-i": "iso8859_8",
    "x-mac-cyrillic": "mac_cyrillic", "macintosh": "mac_roman",
}  # fmt: skip
"""What Python calls the encoding that a name stands for on the web, where that is another."""
_WIDTH_MARKED = frozenset(("utf-16le", "utf-16be"))
"""A page that says so in ASCII letters is in neither: the standard takes UTF-8."""
_RARE = frozenset(("cp1257", "windows-1257", "iso-8859-13", "iso-8859-4", "iso-8859-10"))
"""Encodings whose letters in a text of a few are more likely those of a western language."""
_RARE_LETTERS = 4
_WESTERN = "cp1252"
_PLAIN_LETTERS = 2
"""Plain letters that stand in a western text for each accented one, at least."""
_PYTHONS_OWN = re.compile(r"(?:cp|ms|mac|euc|iso)[\w-]*|johab|uhc|big5[\w-]*", re.IGNORECASE)
"""Labels that browsers do not know and Python does; utf-7 and unicode_escape are none of them."""
_CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)


def text_in(data: bytes, media_type: str | None) -> str:
    """The text; raises `DocumentUnreadable` (unknown_encoding) for a text too short to tell."""
    head = data[:_HEAD].decode("latin-1")
    named = _CHARSET.search(media_type or "") or (_CHARSET.search(head) if "<" in head else None)
    if named and (text := _decoded(data, _codec(named[1]))) is not None:
        return text
    found = _decoded(data, _detected(data))
    if found is None:
        raise DocumentUnreadable(
            "its character encoding is not certain: send it as UTF-8, or name its charset",
            code="unknown_encoding",
        )
    return found


def _codec(label: str) -> str | None:
    """Python's codec for a label; None for one that is no encoding of text in bytes."""
    known = webencodings.lookup(label)
    if known is not None:
        return None if known.name in _WIDTH_MARKED else _SUPERSETS.get(known.name, known.name)
    return label.lower() if _PYTHONS_OWN.fullmatch(label) else None


def _detected(data: bytes) -> str | None:
    """The codec two detectors agree on, or a western one that the text bears out; else None."""
    sample = data[:_SAMPLE_BYTES]
    if len(data) > len(sample):
        sample = sample.rpartition(b"\n")[0] or sample
    first = _codec(chardetng_py.detect(sample))
    second = _codec(str(chardet.detect(sample)["encoding"]))
    text = _decoded(sample, first)
    if text is None:
        return None
    accented = [character for character in text if not character.isascii()]
    if text == _decoded(sample, second):
        return None if first in _RARE and len(accented) < _RARE_LETTERS else first
    return first if first == _WESTERN and _is_western(text) else None


def _is_western(text: str) -> bool:
    """Whether a text read as windows-1252 has at most one accented letter to two plain ones."""
    letters = [character for character in text if character.isalpha()]
    accented = sum(not character.isascii() for character in letters)
    return accented * _PLAIN_LETTERS <= len(letters) - accented


def _decoded(data: bytes, codec: str | None) -> str | None:
    """Text without halves of characters, which some encodings let through."""
    if codec is None:
        return None
    try:
        return data.decode(codec).encode(errors="replace").decode()
    except (LookupError, UnicodeError):
        return None
