"""A terminal obeys nothing that a model or a stranger wrote."""

import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from analysis.counts import counted
from cli.output import SafeConsole, as_json_line, printable

ESCAPES = [
    ("\x1b[31mred\x1b[0m", "red"),
    ("\x1b[2J\x1b[Hgone", "gone"),
    ("\x1b]0;title\x07text", "text"),
    ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x1b]52;c;cm0gLXJm\x07clip", "clip"),
    ("\x9b31mred", "red"),
    ("\x1bPq#0\x1b\\sixel", "sixel"),
    ("\x1bcreset", "reset"),
    ("over\rwritten", "overwritten"),
    ("back\x08space", "backspace"),
    ("\u202egnp.exe\u202c", "gnp.exe"),
    ("bell\x07 nul\x00", "bell nul"),
    ("half \x1b[", "half"),
]


@pytest.mark.parametrize(("text", "shown"), ESCAPES)
def test_escape_sequences_and_controls_are_not_printed(text: str, shown: str) -> None:
    assert printable(text).rstrip() == shown


@pytest.mark.parametrize("text", ["two\nlines", "a\ttab", "안녕 😀 مرحبا", "[bold]not markup[/]"])
def test_any_other_text_is_printed_as_it_is(text: str) -> None:
    assert printable(text) == text


def printed(what: Any, **options: Any) -> str:
    written = io.StringIO()
    SafeConsole(file=written, width=80, force_terminal=True, color_system=None).print(
        what, **options
    )
    return written.getvalue()


@pytest.mark.parametrize(("text", "shown"), ESCAPES)
def test_the_console_prints_no_control_in_text_or_table(text: str, shown: str) -> None:
    table = Table()
    table.add_column("text")
    table.add_row(text)
    for output in (printed(text, markup=False), printed(table)):
        assert shown.split(maxsplit=1)[0] in output
        assert printable(output) == output


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (2250, "2,250 rows")]
)
def test_a_count_is_singular_for_one_alone(count: int, shown: str) -> None:
    assert counted(count, "row") == shown


@given(st.text())
def test_json_holds_every_text_and_no_control(text: str) -> None:
    text = text.encode(errors="replace").decode()
    line = as_json_line({"text": text})
    assert json.loads(line) == {"text": text}
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in line)
