"""JSON as people write it by hand is read as they meant it, and strict JSON as it always was."""

import json
from contextlib import suppress
from time import process_time
from typing import Any

import json5
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from quorum.core.lenient_json import LIMIT, strict_form

TEXTS = st.text(st.characters(min_codepoint=32, codec="utf-8"), max_size=8) | st.sampled_from(
    ["it's", '"', "\\'", "a: 1,}", "\n", "'", "\\", "//", ",]", "{a:"]
)
NAMES = st.text("ab_$9 -:'\"\\,}", max_size=4)
VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.sampled_from(list(json5.QuoteStyle)), st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=60)
def test_what_is_written_as_people_write_it_is_read_as_it_was_meant(
    value: Any,
    quotes: json5.QuoteStyle,
    quoted: bool,
    indent: int | None,
) -> None:
    written = json5.dumps(
        value, quote_style=quotes, quote_keys=quoted, trailing_commas=True, indent=indent
    )
    assert json.loads(strict_form(written)) == value


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=60)
def test_strict_json_is_read_the_same(
    value: Any,
    ascii_only: bool,
    indent: int | None,
) -> None:
    written = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert json.loads(strict_form(written)) == value


@given(st.text("{}[]:,'\"\\ a$1\n", max_size=14))
@settings(max_examples=200)
def test_nothing_is_read_that_json5_does_not_read_or_reads_otherwise(text: str) -> None:
    try:
        read = json.loads(strict_form(text))
    except ValueError:
        return
    assert read == json5.loads(text)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("\ufeff{}", {}),
        ("{a: {$b_1: 'c'}, }", {"a": {"$b_1": "c"}}),
        ("['it\\'s', \"it\\'s\", 'say \"\\\"', '\\u00e9\\n', ]", ["it's", "it's", 'say ""', "é\n"]),
        ('["a: 1,}", \'{"b": 2,}\',\n]', ["a: 1,}", '{"b": 2,}']),
        ("['\\ud83d']", ["\ud83d"]),
        ("{größe: 1}", {"größe": 1}),
    ],
)
def test_what_google_reads_is_read(written: str, read: Any) -> None:
    assert json.loads(strict_form(written)) == read


@pytest.mark.parametrize(
    "text",
    [
        *("{,}", "[,]", "[1,,]", "{a 1}", "{a:}", "{a:,}", "[a]", "{a: b}", "[a: 1]", "{1: 2}"),
        *("{a: 'b}", "{a: 'b\\'}", '{a: "b}', "{'a' 'b': 1}", "['a''b']", "{a-b: 1}", "{a: 0x1}"),
        *("{a: +1}", "{a: .5}", "['\n']", "['\\x41']", "{a: 1", "{a: 1}}", "'", "\ufeff\ufeff{}"),
        "[" + "1," * LIMIT + "]",
    ],
)
def test_what_cannot_be_certain_is_left_for_the_strict_reader_to_refuse(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 a reader's errors say nothing of their own
        json.loads(strict_form(text))


@pytest.mark.parametrize(
    "unit",
    ["'", '"', "\\'", '\\"', "a", "a ", " ", ",", ", ", "{", "{a:", "[ ", "$", "'\\", ":", "a:"],
)
def test_the_time_grows_with_the_text_and_not_with_its_square(unit: str) -> None:
    text = unit * (LIMIT // len(unit))
    began = process_time()
    strict_form(text)
    strict_form(f"'{text[1:]}")
    with suppress(ValueError, RecursionError):
        json.loads(strict_form(f'{{"a": {text[6:]}'))
    assert process_time() - began < 5
