"""The rows of a file as spreadsheets, databases and programs write it.

CSV (commas, semicolons, tabs or bars; quotes doubled or behind a backslash; any encoding that can
be told), JSON Lines, a JSON array, plain text and workbooks. A row that cannot be read says why and
harms no other row; a file that cannot be read at all is refused.
"""

import csv
import itertools
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import TextIOWrapper
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from analysis.encodings import EncodingUnknown, encoding_of, errors_of, is_unreadable

CSV, TSV, JSON_LINES, JSON, TEXT, WORKBOOK = KINDS = ("csv", "tsv", "jsonl", "json", "txt", "xlsx")
"""The kinds of files that are read."""
SUFFIXES = {
    ".csv": CSV, ".tsv": TSV, ".tab": TSV, ".jsonl": JSON_LINES, ".ndjson": JSON_LINES,
    ".json": JSON, ".txt": TEXT, ".xlsx": WORKBOOK, ".xlsm": WORKBOOK, ".xls": WORKBOOK,
    ".xlsb": WORKBOOK, ".ods": WORKBOOK,
}  # fmt: skip
"""The kind of a file by the ending of its name."""
DELIMITERS = ",;\t|"
RECORD_CHARACTERS = 1_000_000
"""The characters of the longest record that is looked for where a quote is not closed."""
BROKEN_RECORDS = 1_000
"""The records that may be broken before a file is no CSV."""
_HEAD_BYTES = 64 * 1024
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_MOSTLY = 0.1
"""The share of control characters above which a file is no text."""
_NO_TEXT = "it is neither text nor a workbook"
_SIGNATURES = (
    (b"PK\x03\x04", "a workbook or another ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an Office file of before 2007, or an encrypted one"),
    (b"%PDF-", "a PDF: documents are for `quorum documents`"),
    (b"\x1f\x8b", "compressed: unpack it first"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "a database"),
)
_BEGINS_OBJECT = re.compile(r'\{\s*(?:["}]|$)')
_BEGINS_ARRAY = re.compile(r'\[\s*(?:[{"\]]|$)')
_BEGINS_ITEMS = re.compile(r"\[\s*(?:\{|$)")
_DIALECT = re.compile(r"sep=(.)\s*", re.IGNORECASE)
"""The line that tells Excel the delimiter."""


class FileUnreadable(ValueError):
    """No rows can be read from a file; the message says why, without the name of the file."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its fields by column, cells that are empty left out; or the `problem` it has.

    `line` is the line of the file it begins in, the row of the sheet, or the number of the item
    in an array, from 1.
    """

    line: int
    fields: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file, to be read once. `columns` are None where every row names its own."""

    kind: str
    columns: tuple[str, ...] | None
    rows: Iterator[Row]

    def __iter__(self) -> Iterator[Row]:
        """Row after row."""
        return self.rows


class _Line(NamedTuple):
    number: int
    text: str


def kind_of(name: str) -> str:
    """The kind of a file of that name (`.jsonl.txt` is JSON Lines); raises `FileUnreadable`."""
    suffixes = [suffix.lower() for suffix in Path(name).suffixes[-2:]]
    kind = SUFFIXES.get(suffixes[-1]) if suffixes else None
    if kind is None:
        raise FileUnreadable(
            f"files of this kind ({Path(name).suffix or 'without an ending'}) are not read, but"
            f" {', '.join(SUFFIXES)}"
        )
    return SUFFIXES.get(suffixes[0], kind) if kind == TEXT else kind


@contextmanager
def opened(path: Path, wanted: Collection[str], *, encoding: str | None = None) -> Iterator[Rows]:
    """The rows of the file at `path`, whose kind its name tells; see `rows_of`."""
    kind = kind_of(path.name)
    with path.open("rb") as file:
        yield rows_of(file, kind, wanted, encoding=encoding)


def rows_of(
    file: BinaryIO, kind: str | None, wanted: Collection[str], *, encoding: str | None = None
) -> Rows:
    """The rows of a seekable file of that kind; of None, as it begins.

    One of the columns `wanted` must be there, which also tells the delimiter. Raises
    `FileUnreadable`.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if kind is None and head.startswith(b"PK\x03\x04"):
        kind = WORKBOOK
    if kind == WORKBOOK:
        return _of_workbook(file, wanted)
    codec = _codec(file, head, encoding)
    lines = _lines(file, codec)
    if kind is None:
        kind, lines = _told(lines, wanted)
    match kind:
        case "json":
            return _of_json("".join(line.text for line in lines))
        case "jsonl":
            first, lines = _peeked(lines)
            if _BEGINS_ITEMS.match(first):
                return _of_json("".join(line.text for line in lines))
            return Rows(kind, None, map(_of_json_line, _not_blank(lines)))
        case "txt":
            return Rows(kind, None, map(_of_text_line, _not_blank(lines)))
        case _:
            return _of_csv(lines, kind, wanted)


def _lines(file: BinaryIO, codec: str) -> Iterator[_Line]:
    text = TextIOWrapper(file, encoding=codec, errors=errors_of(codec), newline="")
    try:
        yield from itertools.starmap(_Line, enumerate(text, start=1))
    finally:
        if not file.closed:
            text.detach()  # its caller opened the file, and closes it


def _codec(file: BinaryIO, head: bytes, encoding: str | None) -> str:
    for signature, meaning in _SIGNATURES:
        if head.startswith(signature):
            raise FileUnreadable(f"it is {meaning}")
    try:
        codec = encoding or encoding_of(file)
        "".encode(codec)
    except LookupError:
        raise FileUnreadable(f"there is no encoding {encoding!r}") from None
    except EncodingUnknown as unknown:
        raise FileUnreadable(_NO_TEXT if _is_binary(head) else str(unknown)) from None
    if not codec.startswith(("utf-16", "utf-32")) and _is_binary(head):
        raise FileUnreadable(_NO_TEXT)
    return codec


def _is_binary(head: bytes) -> bool:
    return len(_CONTROLS.findall(head)) > len(head) * _MOSTLY


def _told(lines: Iterator[_Line], wanted: Collection[str]) -> tuple[str, Iterator[_Line]]:
    """The kind of a text without a file name, by its first line that is not blank."""
    first, again = _peeked(lines)
    if _BEGINS_OBJECT.match(first):
        return JSON_LINES, again
    if _BEGINS_ARRAY.match(first):
        return JSON, again
    header = _header(first, DELIMITERS, wanted)
    several = header is not None and len(header.columns) > 1
    return CSV if several or first.strip('"') == "content" else TEXT, again


def _peeked(lines: Iterator[_Line]) -> tuple[str, Iterator[_Line]]:
    """The first line that is not blank, without blanks around it, and all lines."""
    seen: list[_Line] = []
    for line in lines:
        seen.append(line)
        if line.text.strip():
            break
    return (seen[-1].text.strip().lstrip("\ufeff") if seen else ""), itertools.chain(seen, lines)


def _not_blank(lines: Iterable[_Line]) -> Iterator[_Line]:
    return (line for line in lines if line.text.strip())


# ---- CSV -------------------------------------------------------------------------------------


class _Header(NamedTuple):
    """`skips` says that blanks stand between a delimiter and a quote."""

    delimiter: str
    columns: tuple[str, ...]
    skips: bool


def _of_csv(lines: Iterator[_Line], kind: str, wanted: Collection[str]) -> Rows:
    delimiters = "\t" if kind == TSV else DELIMITERS
    first = next(_not_blank(lines), _Line(0, ""))
    told = _DIALECT.fullmatch(first.text)
    if told:
        delimiters = told[1]
        first = next(_not_blank(lines), _Line(0, ""))
    header = _header(first.text, delimiters, wanted)
    if header is None and kind == TSV:  # a name may be wrong
        header = _header(first.text, DELIMITERS, wanted)
    if header is None:
        _require(_cells_of(first.text, delimiters[0]), wanted)
        raise AssertionError("a column that is wanted makes a header")
    columns = header.columns
    _require_once(columns)
    # A comma nobody quoted can only belong to the last column, and only if that is text.
    joins = columns[-1].casefold() in wanted
    records = _records(lines, header)
    first_wanted = next(at for at, name in enumerate(columns) if name.casefold() in wanted)
    certain = columns if joins else columns[:first_wanted]
    rows = (_of_record(record, header, joins=joins, certain=len(certain)) for record in records)
    return Rows(kind, columns, (row for row in rows if row.fields or row.problem))


def _header(text: str, delimiters: Iterable[str], wanted: Collection[str]) -> _Header | None:
    """The delimiter by which a header has a column that is wanted, and most columns."""
    skipping = {delimiter: f'{delimiter} "' in text for delimiter in delimiters}
    found = [
        _Header(delimiter, _cells_of(text, delimiter, skips=skips), skips)
        for delimiter, skips in skipping.items()
    ]
    fitting = [header for header in found if _has(header.columns, wanted)]
    return max(fitting, key=lambda header: len(header.columns), default=None)


def _cells_of(text: str, delimiter: str, *, skips: bool = False) -> tuple[str, ...]:
    lines = [text.strip("\r\n \ufeff") if skips else text.strip("\r\n")]
    cells = next(csv.reader(lines, delimiter=delimiter, skipinitialspace=skips), [])
    return tuple(cell.strip().strip("\ufeff\u200b") for cell in cells)


def _has(columns: Sequence[str], wanted: Collection[str]) -> bool:
    return any(column.casefold() in wanted for column in columns)


def _require(columns: Sequence[str], wanted: Collection[str]) -> None:
    """Raise `FileUnreadable` unless one of the columns is wanted."""
    if not _has(columns, wanted):
        named = ", ".join(column[:40] for column in columns[:8]) or "none"
        raise FileUnreadable(
            f"no column is called {' or '.join(wanted)} (the first line is taken for the names of"
            f" the columns: {named})"
        )


def _require_once(columns: Sequence[str]) -> None:
    named = [column.casefold() for column in columns if column]
    twice = {column for column in named if named.count(column) > 1}
    if twice:
        raise FileUnreadable(f"two columns are called {', '.join(sorted(twice))}")


class _Record(NamedTuple):
    line: int
    cells: list[str]
    problem: str | None = None


def _of_record(record: _Record, header: _Header, *, joins: bool, certain: int) -> Row:
    """The row of a record. Of one with too many cells only the first `certain` are meant so."""
    cells, width = record.cells, len(header.columns)
    surplus = cells[width:]
    problem = record.problem
    if any(surplus):
        if joins:
            cells = [*cells[: width - 1], header.delimiter.join(cells[width - 1 :])]
        elif problem is None:
            problem = (
                f"it has {len(cells)} cells and the header {width}: quote a cell that holds"
                f" {header.delimiter!r}"
            )
            cells = cells[:certain]
    if problem is None and any(map(is_unreadable, cells)):
        problem = "it holds bytes of another character encoding than the file"
    named = zip(header.columns, cells, strict=False)
    fields = {
        name: cell for name, cell in named if name and cell.strip() and not is_unreadable(cell)
    }
    return Row(record.line, fields, problem)


def _records(lines: Iterator[_Line], header: _Header) -> Iterator[_Record]:
    """Record after record. One whose quotes are broken takes only its own line with it."""
    source = _Source(lines)
    broken = 0
    limit = csv.field_size_limit(RECORD_CHARACTERS)
    try:
        while (first := source.peek()) is not None:
            cells = _quoted(source, header)
            if cells is not None:
                yield _Record(first.number, cells)
                continue
            source.take()
            broken += 1
            if broken > BROKEN_RECORDS:
                raise FileUnreadable(
                    f"more than {BROKEN_RECORDS:,} lines have quotes that do not fit, the last of"
                    f" them line {first.number:,}: it is no CSV"
                )
            unquoted = first.text.rstrip("\r\n").split(header.delimiter)
            problem = "a quote that is opened in this line is not closed where its cell ends"
            if len(first.text) > RECORD_CHARACTERS:
                problem = f"it is longer than {RECORD_CHARACTERS:,} characters"
            yield _Record(first.number, unquoted, problem)
    finally:
        csv.field_size_limit(limit)


class _Source:
    """Lines that can be put back."""

    def __init__(self, lines: Iterator[_Line]) -> None:
        self._lines = lines
        self._ahead: list[_Line] = []  # the next one is the last

    def peek(self) -> _Line | None:
        line = self.take()
        if line is not None:
            self._ahead.append(line)
        return line

    def take(self) -> _Line | None:
        return self._ahead.pop() if self._ahead else next(self._lines, None)

    def put_back(self, lines: Sequence[_Line]) -> None:
        self._ahead.extend(reversed(lines))


def _quoted(source: _Source, header: _Header) -> list[str] | None:
    """The cells of the next record; the source stands behind it, or where it stood for None."""
    taken: list[_Line] = []

    def texts() -> Iterator[str]:
        characters = 0
        while characters <= RECORD_CHARACTERS and (line := source.take()) is not None:
            taken.append(line)
            characters += len(line.text)
            yield line.text

    for escapes in ({}, {"escapechar": "\\", "doublequote": False}):
        if escapes and not any('\\"' in line.text for line in taken):
            break
        source.put_back(taken)
        taken.clear()
        dialect: dict[str, Any] = {"skipinitialspace": header.skips, **escapes}
        reader = csv.reader(texts(), delimiter=header.delimiter, strict=True, **dialect)
        try:
            return next(reader, [])
        except csv.Error:
            continue
    source.put_back(taken)
    return None


# ---- JSON and text ---------------------------------------------------------------------------


def _of_text_line(line: _Line) -> Row:
    text = line.text.rstrip("\r\n")
    if is_unreadable(text):
        return Row(line.number, problem="it is in another character encoding than the file")
    return Row(line.number, {"content": text})


def _of_json_line(line: _Line) -> Row:
    if is_unreadable(line.text):
        return Row(line.number, problem="it is in another character encoding than the file")
    text = line.text.strip().lstrip("\ufeff")
    if text.endswith("},"):  # out of an array that was written line by line
        text = text[:-1]
    try:
        return _of_value(line.number, _loaded(text))
    except (ValueError, RecursionError) as error:
        return Row(line.number, problem=_not_json(error))


def _of_json(text: str) -> Rows:
    """An array of items, or an object with one under whatever name; or JSON Lines after all."""
    try:
        value = _loaded(text)
    except (ValueError, RecursionError) as error:
        lines = [_Line(number, line) for number, line in enumerate(text.splitlines(), start=1)]
        first = next(_not_blank(lines), _Line(1, ""))
        if _of_json_line(first).problem is None and not first.text.lstrip().startswith("["):
            return Rows(JSON_LINES, None, map(_of_json_line, _not_blank(lines)))
        raise FileUnreadable(_not_json(error)) from None
    if isinstance(value, dict):
        arrays = [found for found in value.values() if isinstance(found, list)]
        value = arrays[0] if len(arrays) == 1 and "content" not in value else [value]
    if not isinstance(value, list):
        raise FileUnreadable("it is JSON, but no array of items")
    numbered = enumerate(value, start=1)
    return Rows(JSON, None, (_of_value(number, item) for number, item in numbered))


def _of_value(number: int, value: Any) -> Row:
    if isinstance(value, str):
        return Row(number, {"content": value})
    if not isinstance(value, dict):
        return Row(number, problem="it is no JSON object")
    faults = list(itertools.islice(_faults(value), 1))
    if faults:
        item_id = value.get("id")
        known = {"id": item_id} if item_id and not any(_faults(item_id)) else {}
        return Row(number, known, faults[0])
    given = {name: found for name, found in value.items() if found is not None and found != ""}
    return Row(number, given, None if given else "it holds nothing")


class _Fault(str):
    """What stands in JSON for a value that is none: the reason."""

    __slots__ = ()


class _Twice(dict[str, Any]):
    """An object that names a field twice."""


def _loaded(text: str) -> Any:
    return json.loads(
        text,
        parse_constant=_no_value,
        parse_float=_finite,
        parse_int=_whole,
        object_pairs_hook=_object,
    )


def _no_value(name: str) -> _Fault:
    return _Fault(f"it is not JSON ({name[:20]} is no value of JSON)")


def _finite(digits: str) -> float | _Fault:
    number = float(digits)
    return number if isfinite(number) else _no_value(digits)


def _whole(digits: str) -> int | _Fault:
    try:
        return int(digits)
    except ValueError:  # thousands of digits
        return _no_value(digits)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    named = dict(pairs)
    return named if len(named) == len(pairs) else _Twice(pairs)


def _faults(value: Any) -> Iterator[str]:
    """What is wrong in a value of JSON, however deep."""
    if isinstance(value, _Fault):
        yield str(value)
    elif isinstance(value, dict):
        if isinstance(value, _Twice):
            yield "it names a field twice"
        for inner in value.values():
            yield from _faults(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _faults(inner)


def _not_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"it is not JSON ({error.msg.lower()}, column {error.colno:,})"
    return f"it is not JSON ({error})"


# ---- workbooks -------------------------------------------------------------------------------


class _Sheet(NamedTuple):
    """The used cells of a sheet, row after row, and the number of the first row, from 1."""

    name: str
    first: int
    cells: Sequence[Sequence[Any]]


def _of_workbook(file: BinaryIO, wanted: Collection[str]) -> Rows:
    """The rows of the one sheet that has a column that is wanted."""
    import python_calamine  # noqa: PLC0415 - only workbooks need it

    try:
        book = python_calamine.load_workbook(file)
        named = [(name, book.get_sheet_by_name(name)) for name in book.sheet_names]
        sheets = [
            _Sheet(name, 1 + (sheet.start or (0, 0))[0], sheet.to_python()) for name, sheet in named
        ]
    except (python_calamine.CalamineError, OSError) as error:
        raise FileUnreadable(f"it is no workbook that can be read ({error})") from None
    headers = [_sheet_header(sheet) for sheet in sheets]
    found = [
        (sheet, skipped, columns)
        for sheet, (skipped, columns) in zip(sheets, headers, strict=True)
        if _has(columns, wanted)
    ]
    found = [one for one in found if any(_sheet_rows(*one))] or found
    if len(found) > 1:
        several = " and ".join(sheet.name for sheet, *_ in found)
        raise FileUnreadable(f"the sheets {several} all have such a column: keep one of them")
    if not found:
        _require(next((columns for _, columns in headers if columns), ()), wanted)
        raise AssertionError("a column that is wanted makes a header")
    sheet, skipped, columns = found[0]
    _require_once(columns)
    return Rows(WORKBOOK, columns, _sheet_rows(sheet, skipped, columns))


def _sheet_header(sheet: _Sheet) -> tuple[int, tuple[str, ...]]:
    """The names in the first row that is not empty, and the number of rows up to it."""
    for count, cells in enumerate(sheet.cells, start=1):
        if any(cell != "" for cell in cells):
            return count, tuple(_shown(cell).strip() for cell in cells)
    return 0, ()


def _sheet_rows(sheet: _Sheet, skipped: int, columns: Sequence[str]) -> Iterator[Row]:
    """The rows behind the first `skipped` ones."""
    for number, cells in enumerate(sheet.cells[skipped:], start=sheet.first + skipped):
        named = zip(columns, map(_shown, cells), strict=False)
        fields = {name: cell for name, cell in named if name and cell.strip()}
        if fields:
            yield Row(number, fields)


def _shown(cell: Any) -> str:
    """A cell as the sheet shows it: whole numbers without a fraction, dates as ISO 8601."""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    iso: Callable[[], str] | None = getattr(cell, "isoformat", None)
    return str(cell) if iso is None else iso()
