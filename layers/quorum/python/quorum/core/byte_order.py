"""The byte order of a file in Unicode: its mark, or what its line ends show. Pure."""

import codecs

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    # Before UTF-16, whose mark begins that of UTF-32.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def marked_encoding(data: bytes) -> str | None:
    """The codec that a byte order mark at the start of `data` names; it reads the mark, too."""
    return next((codec for mark, codec in _MARKS if data.startswith(mark)), None)


_ZEROS = 0.02
"""The share of zero bytes, most of them first or most of them second, in UTF-16 without a mark."""
_OTHER_SIDE = 1 / 3
"""The share of these that may be on the other side: some letters have one there (U+C600)."""


def unmarked_utf_16(head: bytes) -> str | None:
    """The codec of the beginning of a text in UTF-16 without a mark; None if it is none.

    Its line ends, blanks and ASCII letters have a zero byte each, on one side.
    """
    zeros = head[::2].count(0), head[1::2].count(0)
    few, most = sorted(zeros)
    if few > most * _OTHER_SIDE or most < max(1, len(head) * _ZEROS):
        return None
    codec = "utf-16-le" if zeros[1] == most else "utf-16-be"
    text = head[: len(head) // 2 * 2].decode(codec, errors="ignore")
    if "\n" in text or "\r" in text:
        return codec
    # A single line of ASCII letters shows itself by every second byte.
    return codec if len(head) > 3 and most * 2 >= len(head) - 1 else None  # noqa: PLR2004 - two characters
