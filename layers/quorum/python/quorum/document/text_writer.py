"""A writer of plain text with lines, paragraphs, tables, raised and struck-out characters. Pure.

The reader of a document reports what begins and ends; this class writes the text. White space is
folded as in a browser, unless it is preformatted.
"""

import re
from dataclasses import dataclass, field

_BLANKS = re.compile(r"[ \t\n\r\f]+")
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x9f\ud800-\udfff\u00ad\u200b\ufeff]")
_GAPS = ("", " ", "\t", "\n", "\n\n")
_SPAN_LIMIT = 100
"""Columns or rows that one cell may span; tables that people write have a few dozen."""
_STRUCK = "~~"

_RAISED = str.maketrans("0123456789+-−=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ⁿⁱ")
_LOWERED = str.maketrans("0123456789+-−=()", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎")
_ORDINALS = frozenset((
    "st", "nd", "rd", "th", "e", "er", "re", "ère", "es", "ème", "eme", "o", "a", "os", "as", "º",
    "ª", "mo", "da",
))  # fmt: skip
"""Raised letters after a number that are not its exponent: 1st, 2nd, 3e, 4º."""


def tidy(text: str) -> str:
    """`text` without control characters, lone surrogates and blanks at the ends of lines."""
    shown = _UNSHOWN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (line.rstrip(" \t") for line in shown.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def raised(text: str, before: str = "") -> str:
    """`text` as a superscript after the text `before`: x² and 10⁻⁶, 2^k, but 1st and word[3]."""
    if not _is_mathematical(text):
        return text
    if before[-1:].isdigit() and text.casefold() in _ORDINALS:
        return text
    return _as_script(text, _RAISED, "^")


def lowered(text: str) -> str:
    """`text` as a subscript: H₂O, v_max."""
    return _as_script(text, _LOWERED, "_") if _is_mathematical(text) else text


def _is_mathematical(text: str) -> bool:
    """Whether a script changes the meaning: marks, footnotes' brackets and sentences do not."""
    return bool(re.fullmatch(r"[+\-−±]?[\w+\-−=(),./*·]{1,20}", text)) and any(
        character.isalnum() for character in text
    )


def _as_script(text: str, table: dict[int, int], mark: str) -> str:
    written = text.translate(table)
    if all(new != old for new, old in zip(written, text, strict=True)):
        return written
    return f"{mark}{text}" if text.isalpha() or text.isdigit() else f"{mark}({text})"


@dataclass(slots=True)
class _Block:
    """A run of text with breaks in it: the document itself, or a cell of a table."""

    pieces: list[str] = field(default_factory=list)
    gap: str = ""
    holds_table: bool = False

    def put(self, text: str) -> None:
        if self.gap and self.pieces:
            self.pieces.append(self.gap)
        self.pieces.append(text)
        self.gap = ""

    def put_break(self, gap: str) -> None:
        self.gap = max(self.gap, gap, key=_GAPS.index)

    def text(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class _Table:
    """A table that is being written; `spans` are rows that cells above still span, by column."""

    row: list[_Block | None] | None = None
    spans: dict[int, int] = field(default_factory=dict)


class TextWriter:
    """Writes text piece by piece."""

    def __init__(self) -> None:
        self._blocks = [_Block()]
        self._tables: list[_Table] = []
        self._scripts: list[tuple[str, list[str]]] = []
        self._mark = ""
        self._preformatted = 0

    def text(self) -> str:
        """The whole text, tidied."""
        while self._tables:
            self.close_table()
        return tidy(self._blocks[0].text())

    # ---- text ----------------------------------------------------------------------------------

    def write(self, text: str) -> None:
        """Write text; runs of white space become one blank, as in a browser."""
        if self._preformatted:
            self.keep(text)
            return
        folded = _BLANKS.sub(" ", text)
        if folded.startswith(" "):
            self.put_break(" ")
        if folded.strip(" "):
            self.keep(folded.strip(" "))
            if folded.endswith(" "):
                self.put_break(" ")

    def keep(self, text: str) -> None:
        """Write text with its white space."""
        if not text:
            return
        if self._scripts:
            self._scripts[-1][1].append(text)
            return
        if self._mark:
            mark, self._mark = self._mark, ""
            self._blocks[-1].put(mark)
        self._blocks[-1].put(text)

    def put_break(self, gap: str) -> None:
        """Put a blank, tab, line break or blank line before the next text; the strongest counts."""
        if self._mark and gap in {"\n", "\n\n"}:
            return  # an item's first paragraph follows its number
        if not self._scripts:
            self._blocks[-1].put_break(gap)
        elif self._scripts[-1][1]:
            self._scripts[-1][1].append(" ")

    def line(self) -> None:
        """Begin or end a line."""
        self.put_break("\n")

    def paragraph(self) -> None:
        """Begin or end a paragraph."""
        self.put_break("\n\n")

    def mark_item(self, mark: str) -> None:
        """Write an item's number or bullet before the first text of the item."""
        self._mark = mark

    def end_item(self) -> None:
        """End an item; an item without text gets no number."""
        self._mark = ""

    def preformat(self, *, begins: bool) -> None:
        """Begin or end preformatted text, whose white space is kept."""
        self._preformatted += 1 if begins else -1

    def strike(self, *, begins: bool) -> None:
        """Begin or end struck-out text, which is marked because a reader sees it."""
        pieces = self._scripts[-1][1] if self._scripts else self._blocks[-1].pieces
        goes_on = pieces[-1:] == [_STRUCK] and not self._blocks[-1].gap
        if begins and not goes_on:
            self.keep(_STRUCK)
        elif goes_on:
            pieces.pop()  # there is no text between two marks
        else:
            pieces.append(_STRUCK)

    def open_script(self, kind: str) -> None:
        """Begin a superscript ("sup") or subscript ("sub")."""
        self._scripts.append((kind, []))

    def close_script(self) -> None:
        """End the script opened last."""
        kind, pieces = self._scripts.pop()
        text = "".join(pieces).strip()
        before = (self._scripts[-1][1] if self._scripts else self._blocks[-1].pieces)[-1:]
        self.keep(raised(text, "".join(before)) if kind == "sup" else lowered(text))

    # ---- tables --------------------------------------------------------------------------------

    def open_table(self) -> None:
        """Begin a table."""
        self.paragraph()
        self._blocks[-1].holds_table = True
        self._tables.append(_Table())

    def open_row(self) -> None:
        """Begin a row."""
        self.close_row()
        if self._tables:
            self._tables[-1].row = []

    def open_cell(self, *, columns: int = 1, rows: int = 1) -> None:
        """Begin a cell that spans the given columns and rows."""
        if not self._tables:
            self.line()
            self._blocks.append(_Block())
            return
        table = self._tables[-1]
        if table.row is None:
            table.row = []
        row = table.row
        while table.spans.get(len(row)):
            self._skip(table, row)
        first = len(row)
        cell = _Block()
        row.append(cell)
        row += [None] * (_bounded(columns) - 1)
        for column in range(first, len(row)):
            table.spans[column] = _bounded(rows) - 1
        self._blocks.append(cell)

    def close_cell(self) -> None:
        """End the cell opened last."""
        if len(self._blocks) == 1:
            return
        self._mark = ""
        cell = self._blocks.pop()
        if not self._tables and cell.pieces:
            self._blocks[-1].put(cell.text())
            self.line()

    def close_row(self) -> None:
        """End the row: write one line of its cells with tabs between them.

        Cells that hold tables themselves are layout, and a cell alone in its row is a frame: their
        text is written unchanged.
        """
        if not self._tables or self._tables[-1].row is None:
            return
        table = self._tables[-1]
        row, table.row = table.row or [], None
        while table.spans.get(len(row)):
            self._skip(table, row)
        cells = [cell for cell in row if cell is not None]
        outer = self._blocks[-1]
        outer.put_break("\n")
        is_frame = len(cells) == 1 and row[0] is not None
        if is_frame or any(cell.holds_table for cell in cells):
            for cell in cells:
                if cell.pieces:
                    outer.put_break("\n\n" if cell.holds_table else "\n")
                    outer.put(cell.text())
        else:
            line = "\t".join(" ".join(cell.text().split()) if cell else "" for cell in row)
            if line.strip("\t"):
                outer.put(line)
        outer.put_break("\n")

    def close_table(self) -> None:
        """End the table."""
        self.close_row()
        if self._tables:
            self._tables.pop()
        self.paragraph()

    def _skip(self, table: _Table, row: list[_Block | None]) -> None:
        """Skip the columns of a row that cells above span."""
        table.spans[len(row)] -= 1
        row.append(None)


def _bounded(span: int) -> int:
    return min(max(span, 1), _SPAN_LIMIT)
