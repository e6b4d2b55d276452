"""The items of a file for `quorum batch`: one for each row, including unreadable rows."""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import typer
from quorum.core.unicode import without_surrogates

from analysis import rows
from analysis.counts import counted
from analysis.rows import FileUnreadable, Row, Rows
from cli import languages as codes
from cli.errors import CommandFailed
from cli.output import STANDARD_OUTPUT, notes

CONTENT_COLUMNS = ("content", "text")
KNOWN = ("id", "language", "default_language", "context", "panel", "policy", "metadata")
"""The fields of an item besides its content."""
LANGUAGES = ("language", "default_language")
REASONS = 10
"""Rejected rows whose reasons are printed."""


class Known(NamedTuple):
    """The facts about an item that are in the file and not in its result."""

    line: int
    id: str | None
    content: str
    problem: str | None


@dataclass(slots=True)
class Spooled:
    """The items of a file as JSON lines, and the facts about the row of each.

    Both are temporary files, so that a batch of any length takes constant memory.
    """

    items: IO[bytes]
    known: IO[str]
    count: int = 0
    problems: int = 0

    @property
    def size(self) -> int:
        """The bytes of all items."""
        self.items.seek(0, 2)
        return self.items.tell()

    def facts(self) -> Iterator[Known]:
        """The facts about each item, in the order of the file."""
        self.known.seek(0)
        return (Known(*json.loads(line)) for line in self.known)


@contextmanager
def spooled(
    file: Path | None,
    *,
    kind: str | None,
    column: str | None,
    encoding: str | None,
    languages: Mapping[str, str | None],
) -> Iterator[Spooled]:
    """All items of `file` (None: of stdin), read before anything is sent.

    `languages` are the `LANGUAGES` of rows that name none.
    Raises `typer.BadParameter` for a file that cannot be read or is empty, and `CommandFailed` if
    no row of it can be judged.
    """
    columns = CONTENT_COLUMNS if column is None else (column.casefold(),)
    with (
        tempfile.TemporaryFile() as items,
        tempfile.TemporaryFile("w+", encoding="utf-8", newline="") as known,
    ):
        found = Spooled(items, known)
        try:
            with _opened(file, kind, columns, encoding) as given:
                _spool(given, columns, languages, found)
        except FileUnreadable as problem:
            name = "the standard input" if file in (None, STANDARD_OUTPUT) else str(file)
            raise typer.BadParameter(f"{name}: {problem}") from None
        if not found.count:
            raise typer.BadParameter("the input is empty: there is nothing to judge")
        if found.problems == found.count:
            raise CommandFailed("None of the rows can be judged; nothing was submitted.")
        yield found


@contextmanager
def _opened(
    file: Path | None, kind: str | None, columns: tuple[str, ...], encoding: str | None
) -> Iterator[Rows]:
    if file is None or file == STANDARD_OUTPUT:
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
            copy.seek(0)
            given = rows.rows_of(copy, kind, columns, encoding=encoding)
            if given.kind != rows.TEXT:
                notes.print(f"the standard input is read as {given.kind}")
            yield given
        return
    found = kind or rows.kind_of(file.name)
    with file.open("rb") as opened:
        yield rows.rows_of(opened, found, columns, encoding=encoding)


def _spool(
    given: Rows, columns: tuple[str, ...], languages: Mapping[str, str | None], to: Spooled
) -> None:
    named = {name: code for name, code in languages.items() if code is not None}
    ignored: set[str] = set()
    for row in given:
        item, problem = item_of(row, columns, ignored)
        if problem is not None:
            to.problems += 1
            _tell(to.problems, row, item, problem)
        item = named | {name: value for name, value in item.items() if value is not None}
        to.items.write(json.dumps(item, ensure_ascii=False).encode() + b"\n")
        facts = Known(row.line, item.get("id"), item["content"], problem)
        to.known.write(json.dumps(facts) + "\n")
        to.count += 1
    if ignored:
        notes.print(f"columns not used: {', '.join(sorted(ignored))}", markup=False)
    if to.problems > REASONS:
        notes.print(f"… and {counted(to.problems - REASONS, 'more row')} that cannot be judged")


def item_of(
    row: Row, columns: tuple[str, ...], ignored: set[str]
) -> tuple[dict[str, Any], str | None]:
    """The item of a row as `POST /batches` takes it, and the reason if it cannot be judged.

    An item without a content keeps its index in the batch: the deployment rejects it. Fields of the
    row that an item cannot have are added to `ignored`.
    """
    folded = {name.casefold(): value for name, value in row.fields.items()}
    ignored.update(name for name in row.fields if name.casefold() not in (*columns, *KNOWN))
    content = next((folded[name] for name in columns if name in folded), "")
    problem = row.problem or _problem(content, columns, twice=len(folded) < len(row.fields))
    item: dict[str, Any] = {"content": "" if problem else _text(content)}
    for name in KNOWN:
        if name in folded:
            item[name] = _repaired(folded[name])
    if isinstance(item.get("id"), int | float) and not isinstance(item["id"], bool):
        item["id"] = str(item["id"])
    for name in ("context", "metadata"):  # in a cell of a table
        if isinstance(item.get(name), str):
            item[name] = _as_json(item[name])
    for name in LANGUAGES:
        if isinstance(item.get(name), str):
            # What is no language stays, for the deployment to refuse.
            item[name] = codes.as_code(item[name]) or item[name]
    return item, problem


def _text(content: str | float) -> str:
    return without_surrogates(content) if isinstance(content, str) else json.dumps(content)


def _problem(content: Any, columns: tuple[str, ...], *, twice: bool) -> str | None:
    """The reason if a content cannot be judged; `twice` says that a field's name is there again."""
    if twice:
        return "it has two fields whose names differ in capitals only"
    if not content and not isinstance(content, int | float):
        return f"the row has no {' and no '.join(columns)}"
    if isinstance(content, bool) or not isinstance(content, str | int | float):
        return "the content is not text"
    return None


def _as_json(cell: str) -> Any:
    """The JSON in a cell; what is none stays, for the deployment to refuse."""
    try:
        return _repaired(json.loads(cell))
    except (ValueError, RecursionError):
        return cell


def _repaired(value: Any) -> Any:
    """A JSON value with lone surrogates replaced: a request with them cannot be sent."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {without_surrogates(name): _repaired(inner) for name, inner in value.items()}
    return [_repaired(inner) for inner in value] if isinstance(value, list) else value


def _tell(number: int, row: Row, item: dict[str, Any], problem: str) -> None:
    if number <= REASONS:
        notes.print(f"{position(row.line, item.get('id'))} is rejected: {problem}", markup=False)


def position(line: int, item_id: str | None) -> str:
    """The line of a row, and its id if it has one, for people."""
    return f"line {line:,}" if item_id is None else f"line {line:,} (id {item_id})"
