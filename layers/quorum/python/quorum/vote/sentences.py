"""The sentences of a text, with their offsets in UTF-16 code units. Pure.

JavaScript, Java and the Perspective API count a text in UTF-16 code units: a character beyond the
basic plane, such as most emoji, counts as two.
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

_WITHOUT_BLANKS = "。！？｡"
"""Marks of scripts that put no blank between two sentences."""
_END = re.compile(f"""[.!?…‽؟۔।॥։{_WITHOUT_BLANKS}]+["'’”)\\]}}»›」』】]*|[\r\n\u2028\u2029]+""")
"""What may end a sentence: its marks and what closes it, or a line. Never fails part of the way, so
the time to find all is linear."""


class Span(NamedTuple):
    """A part of a text: from `begin` up to, not including, `end`, in UTF-16 code units."""

    begin: int
    end: int
    text: str


def units(text: str) -> int:
    """The length of `text` in UTF-16 code units."""
    return len(text) + sum(character > "\uffff" for character in text)


def spans(text: str, limit: int) -> list[Span]:
    """The sentences of `text` in order, without the white space around them.

    Of more than `limit` sentences, neighbours are joined, about the same number to each span.
    """
    found = list(_sentences(text))
    if len(found) > limit:
        borders = [len(found) * index // limit for index in range(limit + 1)]
        found = [(found[first][0], found[after - 1][1]) for first, after in pairwise(borders)]
    made: list[Span] = []
    counted, position = 0, 0
    for start, end in found:
        begin = counted + units(text[position:start])
        counted, position = begin + units(text[start:end]), end
        made.append(Span(begin, counted, text[start:end]))
    return made


def _sentences(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each sentence, in characters."""
    start = 0
    for end in _ends(text):
        sentence = text[start:end]
        stripped = sentence.strip()
        if stripped:
            first = start + len(sentence) - len(sentence.lstrip())
            yield first, first + len(stripped)
        start = end


def _ends(text: str) -> Iterator[int]:
    """The offsets at which a sentence ends, the text's own end last."""
    for found in _END.finditer(text):
        marks, end = found.group(), found.end()
        if marks[0] in _WITHOUT_BLANKS or marks[0].isspace() or text[end : end + 1].isspace():
            yield end
    yield len(text)
