"""The JSON objects in a reply, as models write them. Pure.

json and pydantic_core read what is JSON; replies are often nearly so. This reads what has one
meaning only and says which values were cut off, which no repairing library does.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_LOOKS_LIKE_AN_OBJECT = re.compile(r"\{\s*[\"'“”]|\{\s*\w+\s*:")
_ENDS_IN_A_NUMBER = re.compile(r"[\d.eE+-]$")
_CLOSING = {'"': '"', "'": "'", "“": "”"}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_WORDS = {"true": True, "false": False, "null": None, "none": None}
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?%?")
_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s*")
_UNITS = re.compile(r"(?:\\u[0-9a-fA-F]{4})+")
_DEPTH_LIMIT = 16


class Value(NamedTuple):
    """A value: a str, int, float, bool, None, list or `Object`, and whether it came whole.

    `span` is where it stands in the text; for a string, what is between its quotes.
    """

    content: Any
    span: tuple[int, int]
    complete: bool


class Object(NamedTuple):
    """The names and values of an object in order, a name as often as it was written.

    `closed` is whether its end came; the end of the text ends whatever is open.
    """

    items: list[tuple[str, Value]]
    closed: bool


class Found(NamedTuple):
    """An object and where it stands in the text."""

    object: Object
    span: tuple[int, int]


class Broken(Exception):
    """A text that begins like an object and cannot be read as one."""


class _NotAnObject(Exception):
    """The braces hold something else."""


def objects(text: str) -> Iterator[Found]:
    """The outermost objects of the text, in order; raises `Broken` at one that cannot be read."""
    position = text.find("{")
    while position != -1:
        reader = _Reader(text, position)
        try:
            yield Found(reader.object(0), (position, reader.position))
        except _NotAnObject:
            if _LOOKS_LIKE_AN_OBJECT.match(text, position):
                raise Broken from None
            reader.position = position + 1
        position = text.find("{", reader.position)


class _Reader:
    """Reads one object; the end of the text ends whatever is open, and marks it incomplete."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position

    def object(self, depth: int) -> Object:
        if depth > _DEPTH_LIMIT:
            raise _NotAnObject
        self.position += 1
        items: list[tuple[str, Value]] = []
        while True:
            character = self._next()
            if character in ("}", ""):
                self.position += 1
                return Object(items, closed=bool(character))
            if character == ",":
                self.position += 1
                continue
            key = self._key()
            if self._next() == "":
                return Object(items, closed=False)
            if self._next() not in (":", "："):
                raise _NotAnObject
            self.position += 1
            if self._next() == "":
                items.append((key, Value(None, (self.position, self.position), complete=False)))
                return Object(items, closed=False)
            items.append((key, self._value(depth)))
            if self._next() not in (",", "}", ""):
                raise _NotAnObject

    def _next(self) -> str:
        blank = _SPACE.match(self.text, self.position)
        self.position = blank.end() if blank is not None else self.position
        return self.text[self.position : self.position + 1]

    def _key(self) -> str:
        if self._next() in _CLOSING:
            return str(self._string().content)
        word = _WORD.match(self.text, self.position)
        if word is None:
            raise _NotAnObject
        self.position = word.end()
        return word[0]

    def _value(self, depth: int) -> Value:
        start, character = self.position, self._next()
        if character in _CLOSING:
            return self._string()
        if character == "{":
            inner = self.object(depth + 1)
            return Value(inner, (start, self.position), complete=True)
        if character == "[":
            return Value(self._list(depth + 1), (start, self.position), complete=True)
        return self._number_or_word()

    def _list(self, depth: int) -> list[Any]:
        if depth > _DEPTH_LIMIT:
            raise _NotAnObject
        self.position += 1
        elements: list[Any] = []
        while (character := self._next()) not in ("]", ""):
            if character == ",":
                self.position += 1
                continue
            elements.append(self._value(depth).content)
            if self._next() not in (",", "]", ""):
                raise _NotAnObject
        self.position += 1
        return elements

    def _number_or_word(self) -> Value:
        number = _NUMBER.match(self.text, self.position)
        word = _WORD.match(self.text, self.position)
        start = self.position
        if number is not None:
            self.position = number.end()
            complete = number.end() < len(self.text) or not _ENDS_IN_A_NUMBER.search(number[0])
            if not complete:
                return Value(None, number.span(), complete=False)
            literal = number[0] if number[0].endswith("%") else float(number[0])
            return Value(literal, number.span(), complete=True)
        if word is None:
            raise _NotAnObject
        self.position = word.end()
        if word[0].lower() in _WORDS:
            return Value(_WORDS[word[0].lower()], word.span(), complete=True)
        return Value(word[0], (start, word.end()), complete=word.end() < len(self.text))

    def _string(self) -> Value:
        closing = _CLOSING[self.text[self.position]]
        start = self.position = self.position + 1
        letters: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == closing and self._closes(closing):
                self.position += 1
                return Value("".join(letters), (start, self.position - 1), complete=True)
            if character == "\\":
                letters.append(self._escape())
                continue
            letters.append(character)
            self.position += 1
        return Value("".join(letters), (start, self.position), complete=False)

    def _closes(self, closing: str) -> bool:
        """An apostrophe inside a single-quoted string (`'it's bad'`) does not close it."""
        after = self.text[self.position + 1 : self.position + 2]
        return closing != "'" or not after.isalnum()

    def _escape(self) -> str:
        escaped = self.text[self.position + 1 : self.position + 2]
        if escaped != "u":
            self.position += 2
            return _ESCAPES.get(escaped, escaped)
        units = _UNITS.match(self.text, self.position)
        if units is None:
            self.position += 2
            return ""
        self.position = units.end()
        codes = bytes.fromhex(units[0].replace("\\u", ""))
        return codes.decode("utf-16-be", errors="replace")
