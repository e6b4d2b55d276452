"""Tables fit the terminal, and never cut a cell."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core import registry
from rich.console import Console

from cli import tables
from cli.tables import Column

NAMES = [model.name for model in registry.MODELS]


def rendered(
    columns: list[Column], rows: list[tuple[str, ...]], width: int
) -> tuple[list[str], tuple[str, ...]]:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    tables.show(console, columns, [rows])
    printed = console.file.getvalue()  # type: ignore[attr-defined] # a StringIO
    return printed.splitlines(), tables.fitted(columns, [rows], width).left_out


FIGURES = [Column("model", left=True), Column("tokens"), Column("booked")]
MORE = [Column("possibly paid", rank=1), Column("decisions of the day", rank=2)]


def rows_of(names: list[str], figure: str) -> list[tuple[str, ...]]:
    return [(name, *[figure] * 4) for name in names]


def test_a_wide_terminal_shows_every_column_with_its_heading_on_one_line() -> None:
    lines, left_out = rendered(FIGURES + MORE, rows_of(NAMES, "1,234"), 120)
    assert left_out == ()
    assert lines[0].split("  ")[0].strip() == "model"
    assert "decisions of the day" in lines[0]


def test_headings_are_wrapped_before_a_column_is_left_out() -> None:
    lines, left_out = rendered(FIGURES + MORE, rows_of(NAMES, "1,234"), 68)
    assert left_out == ()
    assert "decisions of the day" not in lines[0]


def test_the_columns_that_matter_least_are_left_out_and_named() -> None:
    lines, left_out = rendered(FIGURES + MORE, rows_of(NAMES, "$0.000043651667"), 80)
    assert left_out == ("decisions of the day",)
    assert lines[-1] == "A wider terminal also shows: decisions of the day."


@pytest.mark.parametrize("width", [40, 60, 80, 100, 150])
def test_two_names_that_differ_at_their_ends_are_told_apart(width: int) -> None:
    lines, _ = rendered(FIGURES + MORE, rows_of(NAMES, "$0.0012147"), width)
    printed = "".join(line.split("  ")[0].strip() for line in lines)
    for name in NAMES:
        assert name in printed


@given(
    st.lists(st.text("abcdefgh-", min_size=1, max_size=40), min_size=1, max_size=5),
    st.integers(min_value=20, max_value=200),
    st.text("0123456789,.$", min_size=1, max_size=18),
)
def test_no_character_of_a_cell_is_lost_at_any_width(
    names: list[str], width: int, figure: str
) -> None:
    columns = FIGURES + MORE
    table, left_out = tables.fitted(columns, [rows_of(names, figure)], width)
    lines, _ = rendered(columns, rows_of(names, figure), width)
    assert "…" not in "".join(lines)
    kept = len(columns) - len(left_out)
    assert len(table.columns) == kept
    body = "".join(lines)
    least = 1 + (len(figure) + 2) * (kept - 1)
    if least <= width and max(len(word) for word in ("tokens", "booked")) <= width // 4:
        for character in set("".join(names)) - {" "}:
            assert body.count(character) >= sum(name.count(character) for name in names)
