"""Inputs that are made up: from nothing, and by breaking good ones in one to six places."""

import json
from typing import Any

from hypothesis import strategies as st

Strategy = st.SearchStrategy[Any]

HOSTILE = (
    *("", "\x00", "\ud800", "\udc00\ud800", "\u202e", "\ufeff", "\u200d", "é" * 3, "한글", "😀"),
    *("null", "true", "NaN", "-Infinity", "1e999", "-1", "9" * 5_000, "0.1e-400", "1_000"),
    *('"', "'", "\\", "\\u", "{", "}", "[", "]", ",", ":", "{{", "}}", '{"a":' * 300, "[" * 2_000),
    *("<", ">", "<!--", "]]>", "&#x110000;", "&amp", "<?xml", "<script>", "</p>", "<b" * 200),
    *("\r", "\n", "\r\n", "\n\n", "data: ", "data: [DONE]\n\n", "event: error\n", "\t", ";", "|"),
    *("..", "%00", "%", "%ff", "#", "?", "&", "=", "//", "@", "http://", "[::1]", "0x7f.1"),
    *("<think>", "</think>", "```", "```json\n", "<|im_end|>", "safe", "unsafe", "needs_review"),
    *("0", "1", "-0", "1e5", "2026-02-30", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.9+14:00"),
)
"""Parts that parsers are known to stumble over."""
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2**53, -(2**63), 10**400, 0.5, -0.0, 1e308, float("inf")),
    *(float("nan"), "", " ", "\x00", "\ud800", "x" * 40_000, "é", "한" * 200, "1", "null"),
    *([], {}, [[]], [None], {"": ""}, {"a": {"b": {}}}, [1, "a", None, {}], "2026-01-01", "acme#1"),
)
"""Values that a field does not expect."""


def deep(levels: int) -> Any:
    """A list in a list in a list …"""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@st.composite
def texts(draw: st.DrawFn, *seeds: str) -> str:
    """A text: made up, or a seed with parts cut out, repeated, moved or replaced."""
    if not seeds or draw(st.integers(0, 9)) == 0:
        parts = draw(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=20), max_size=12))
        return "".join(parts)
    text = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 20)))
        part = draw(
            st.sampled_from(HOSTILE)
            | st.text(max_size=8)
            | st.just(text[start:end] * 2)
            | st.sampled_from(seeds)
            | st.just("")
        )
        text = text[:start] + part + text[end:]
    return text


@st.composite
def data(draw: st.DrawFn, *seeds: bytes) -> bytes:
    """Bytes: made up, or a seed with parts cut out, repeated or replaced."""
    if not seeds or draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    given = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 6))):
        start = draw(st.integers(0, len(given)))
        end = min(len(given), start + draw(st.integers(0, 16)))
        part = draw(
            st.binary(max_size=8)
            | st.sampled_from(HOSTILE).map(lambda text: text.encode(errors="surrogatepass"))
            | st.just(given[start:end] * 2)
            | st.just(b"")
        )
        given = given[:start] + part + given[end:]
    return given


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for name, one in inside for place in _places(one, (*path, name)))]


def _replaced(value: Any, path: tuple[Any, ...], by: Any) -> Any:
    if not path:
        return by
    name, *rest = path
    if isinstance(value, dict):
        return {
            key: _replaced(one, tuple(rest), by) if key == name else one
            for key, one in value.items()
        }
    return [
        _replaced(one, tuple(rest), by) if index == name else one for index, one in enumerate(value)
    ]


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


@st.composite
def values(draw: st.DrawFn, *seeds: Any) -> Any:
    """A JSON value: a seed in which some fields have another value, are gone, or are new."""
    value = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        path = draw(st.sampled_from(_places(value)))
        inside = _at(value, path)
        other: Strategy = st.sampled_from(VALUES) | texts(
            *((inside,) if isinstance(inside, str) else ())
        )
        kind = draw(st.sampled_from(("value", "value", "gone", "new", "wrapped", "deep")))
        if kind == "gone" and isinstance(inside, dict) and inside:
            gone = draw(st.sampled_from(list(inside)))
            new: Any = {name: one for name, one in inside.items() if name != gone}
        elif kind == "new" and isinstance(inside, dict):
            new = {**inside, draw(texts(*map(str, inside))): draw(other)}
        elif kind == "new" and isinstance(inside, list):
            new = [*inside, draw(other), *inside]
        elif kind == "wrapped":
            new = [inside]
        elif kind == "deep":
            new = deep(draw(st.sampled_from((5, 100, 400))))
        else:
            new = draw(other)
        value = _replaced(value, path, new)
    return value


@st.composite
def json_texts(draw: st.DrawFn, *seeds: Any) -> str:
    """JSON of a value as `values` has it; now and then with a part that is no JSON any more."""
    written = json.dumps(draw(values(*seeds)), ensure_ascii=draw(st.booleans()))
    return draw(texts(written)) if draw(st.integers(0, 4)) == 0 else written
