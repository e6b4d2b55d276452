"""The character encoding of a file of text: Unicode where it is, else what two detectors agree on.

Spreadsheets save CSV in the encoding of their country (cp949 in Korea, cp1252 in the west) or in
UTF-16, and say so nowhere. A text too short to tell is refused, not read as another text.
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_SET
from typing import BinaryIO

from quorum.core.byte_order import marked_encoding, unmarked_utf_16

_SAMPLE_BYTES = 256 * 1024
"""Bytes of lines outside ASCII that the detectors are shown."""
_BLOCK_BYTES = 1024 * 1024
_HEAD_BYTES = 4096
_FEW = 0.1
"""The share of lines in an unknown encoding up to which only those lines are given up."""
_UNREADABLE = re.compile("[\udc80-\udcff]")


class EncodingUnknown(ValueError):
    """A file is in no encoding that can be told for certain."""


@dataclass(slots=True)
class _Lines:
    """How many lines of a file are in UTF-8, and a sample of those that are not."""

    all: int = 0
    utf_8: int = 0
    other: int = 0
    sample: bytes = b""


def encoding_of(file: BinaryIO) -> str:
    """The codec of a seekable file, which is read whole and left at its start.

    A file most of whose lines are UTF-8 is UTF-8; see `is_unreadable` for the others. Raises
    `EncodingUnknown`.
    """
    head = file.read(4)
    file.seek(0, SEEK_SET)
    marked = marked_encoding(head)
    if marked is not None:
        return marked
    # A file that begins with an ASCII character has one zero byte among its first two.
    first = head[:2].replace(b"\x00", b"")
    if len(head) > 1 and len(first) == 1 and chr(first[0]).isprintable():
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    head = file.read(_HEAD_BYTES)
    file.seek(0, SEEK_SET)
    if (wide := unmarked_utf_16(head)) is not None or _is_utf_8(file):
        return wide or "utf-8"
    lines = _counted(file)
    if lines.utf_8 > lines.other:
        return "utf-8"
    detected = _detected(lines.sample)
    if detected is not None:
        return detected
    if lines.other <= lines.all * _FEW:
        return "utf-8"
    raise EncodingUnknown(
        "its character encoding is not certain: save it as UTF-8, or name it with --encoding"
    )


def is_unreadable(text: str) -> bool:
    """Whether a text decoded with `errors_of` its codec holds bytes of another encoding."""
    return not text.isascii() and _UNREADABLE.search(text) is not None


def errors_of(codec: str) -> str:
    """The error handler that keeps bytes of another encoding apart from characters."""
    wide = codec.startswith(("utf-16", "utf-32"))
    return "replace" if wide else "surrogateescape"


def _is_utf_8(file: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in iter(lambda: file.read(_BLOCK_BYTES), b""):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    finally:
        file.seek(0, SEEK_SET)
    return True


def _counted(file: BinaryIO) -> _Lines:
    counted = _Lines()
    sampled = bytearray()
    for line in _lines(file):
        counted.all += 1
        if line.isascii():
            continue
        try:
            line.decode()
            counted.utf_8 += 1
        except UnicodeDecodeError:
            counted.other += 1
            if len(sampled) < _SAMPLE_BYTES:
                sampled += line
    counted.sample = bytes(sampled)
    return counted


def _lines(file: BinaryIO) -> Iterator[bytes]:
    try:
        yield from file
    finally:
        file.seek(0, SEEK_SET)


def _detected(sample: bytes) -> str | None:
    # Only a file that is not Unicode needs the detectors.
    from quorum.document.encodings import detected  # noqa: PLC0415 - when needed

    return detected(sample)
