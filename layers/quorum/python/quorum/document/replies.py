"""Removal of thinking, fences and comments around a model's answer about a document. Pure.

Models think aloud, fence their JSON, introduce it and comment on it, and end lists with a comma.
All of that is accepted. Nothing is guessed: neither two different objects nor an object that was
cut off is an answer.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

_OBJECTS_LIMIT = 50
"""Braces that may open an object; an answer with more of them is rejected."""

_NAME = r"(?:think|thinking|thought|thoughts|reasoning)"
_OPEN = rf"(?:<{_NAME}>|\[THINK\]|◁think▷)"
_CLOSE = rf"(?:</{_NAME}>|\[/THINK\]|◁/think▷)"
_FLAGS = re.DOTALL | re.IGNORECASE
_THINKING = re.compile(rf"{_OPEN}.*?(?:{_CLOSE}|\Z)", _FLAGS)
_THINKING_FIRST = re.compile(rf"\s*{_OPEN}.*?(?:{_CLOSE}|\Z)", _FLAGS)
_OPENED = re.compile(_OPEN, re.IGNORECASE)
_CLOSED = re.compile(_CLOSE, re.IGNORECASE)
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final\s*<\|message\|>")
_CHANNEL = re.compile(r"<\|(?:start|channel|message|end|return)\|>")
_MARKS = re.compile(r"""[{}]|"(?>[^"\\]|\\.)*+"?+|'(?>[^'\\]|\\.)*+'?+""", re.DOTALL)
_LOOKS_LIKE_AN_OBJECT = re.compile(r"\{\s*(?:[\"'“”}]|\w+\s*:)")


class NoObject(Exception):
    """Signals that an answer holds no certain JSON object; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def without_thinking(text: str, *, anywhere: bool) -> str:
    """An answer without the model's thinking.

    Thinking is at the beginning; `anywhere` removes it further on too, which is wrong for answers
    that may contain such marks themselves, like a translation. Thinking that never ends leaves
    nothing.
    """
    *_, said = _FINAL_CHANNEL.split(text)
    if _CHANNEL.search(said):
        said = _CHANNEL.split(said)[0] if said != text else ""
    closed = _CLOSED.search(said)
    if closed and not _OPENED.search(said, 0, closed.start()):
        # Some templates open the thinking for the model: the answer has only its end.
        said = said[closed.end() :]
    if anywhere:
        return _THINKING.sub("", said).strip()
    while first := _THINKING_FIRST.match(said):
        said = said[first.end() :]
    return said.strip()


def the_object(text: str) -> dict[str, Any]:
    """The one JSON object of an answer, whatever is around it.

    Raises `NoObject`: answer_no_json, or answer_ambiguous for several different ones.
    """
    try:
        return _one(_values(json.loads(text, parse_constant=_refuse, object_pairs_hook=_members)))
    except (ValueError, RecursionError):
        pass
    return _one(list(_objects(text)))


def _one(found: list[Any]) -> dict[str, Any]:
    if not found:
        raise NoObject("answer_no_json")
    if any(other != found[0] for other in found[1:]):
        raise NoObject("answer_ambiguous")
    try:
        # Lone surrogates, which JSON can spell, cannot be stored as text.
        plain = json.dumps(found[0], ensure_ascii=False, allow_nan=False).encode(errors="replace")
    except ValueError as error:  # an infinite number, spelled as 1e999
        raise NoObject("answer_no_json") from error
    return dict(json.loads(plain))


def _values(value: Any) -> list[Any]:
    """The values of an object, or of a list of objects."""
    values = value if isinstance(value, list) else [value]
    return values if all(isinstance(one, dict) for one in values) else []


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The outermost objects in a text; raises `NoObject` if one cannot be read."""
    position = text.find("{")
    for _ in range(_OBJECTS_LIMIT):
        if position == -1:
            return
        end = _end(text, position)
        found = _read(text[position:end]) if end else None
        if found is None and (end is None or _LOOKS_LIKE_AN_OBJECT.match(text, position)):
            # An object further inside may be a quotation of the document.
            raise NoObject("answer_no_json")
        if found is not None:
            yield found
        position = text.find("{", end or position + 1)
    raise NoObject("answer_no_json")


def _end(text: str, start: int) -> int | None:
    """The end of the object that begins at `start`; None if it never ends."""
    depth = 0
    for mark in _MARKS.finditer(text, start):
        if mark[0] in "{}":
            depth += 1 if mark[0] == "{" else -1
            if not depth:
                return mark.end()
    return None


def _read(text: str) -> dict[str, Any] | None:
    import json5  # noqa: PLC0415 - only an answer that is no JSON needs it

    given: dict[str, Any] = {"parse_constant": _refuse, "object_pairs_hook": _members}
    for loads in (json.loads, json5.loads):
        try:
            found = loads(text, **given)
        except (ValueError, RecursionError):
            continue
        return found if isinstance(found, dict) else None
    return None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members and members[name] != value:
            raise ValueError("an object has one name twice")
        members[name] = value
    return members


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
