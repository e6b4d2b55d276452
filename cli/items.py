"""The items of a file for `quorum batch`: one for each row, also for one that cannot be judged."""

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
from analysis.rows import FileUnreadable, Row, Rows
from cli import languages as codes
from cli.errors import CommandFailed
from cli.output import STANDARD_OUTPUT, notes

CONTENT_COLUMNS = ("content", "text")
KNOWN = ("id", "language", "default_language", "panel", "metadata")
"""The fields of an item beside its content."""
LANGUAGES = ("language", "default_language")
REASONS = 10
"""The reasons that are printed where rows are rejected."""


class Known(NamedTuple):
    """The facts about an item that the file tells and its result does not."""

    line: int
    id: str | None
    content: str
    problem: str | None


@dataclass(slots=True)
class Spooled:
    """The items of a file as JSON lines, and beside each the facts known about its row.

    Both are temporary files: a batch of any length is handled in constant memory.
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
    Raises `typer.BadParameter` for a file that cannot be read or holds nothing, `CommandFailed`
    if no row of it can be judged.
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
            raise typer.BadParameter("there is nothing to judge")
        if found.problems == found.count:
            raise CommandFailed("None of the rows can be judged; nothing was handed in.")
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
        notes.print(f"not used: {', '.join(sorted(ignored))}", markup=False)
    if to.problems > REASONS:
        notes.print(f"… and {to.problems - REASONS:,} more rows that cannot be judged")


def item_of(
    row: Row, columns: tuple[str, ...], ignored: set[str]
) -> tuple[dict[str, Any], str | None]:
    """The item of a row as `POST /batches` takes it, and why it cannot be judged, if so.

    An item without a content keeps its place in the batch: the deployment rejects it. The names of
    fields that no item has are added to `ignored`.
    """
    folded = {name.casefold(): value for name, value in row.fields.items()}
    ignored.update(name for name in row.fields if name.casefold() not in (*columns, *KNOWN))
    problem = row.problem
    item: dict[str, Any] = {}
    content = next((folded[name] for name in columns if name in folded), "")
    if problem is None and not content:
        problem = f"it has no {' and no '.join(columns)}"
    elif problem is None and not isinstance(content, str | int | float):
        problem = "its content is no text"
    item["content"] = "" if problem else _text(content)
    for name in KNOWN:
        if name in folded:
            item[name] = _mended(folded[name])
    if isinstance(item.get("id"), int | float):
        item["id"] = str(item["id"])
    for name in LANGUAGES:
        if isinstance(item.get(name), str):
            # What is no language stays, for the deployment to refuse.
            item[name] = codes.as_code(item[name]) or item[name]
    return item, problem


def _text(content: str | float) -> str:
    return without_surrogates(content) if isinstance(content, str) else json.dumps(content)


def _mended(value: Any) -> Any:
    """A value of JSON without half characters, which nothing can be sent with."""
    if isinstance(value, str):
        return without_surrogates(value)
    if isinstance(value, dict):
        return {without_surrogates(name): _mended(inner) for name, inner in value.items()}
    return [_mended(inner) for inner in value] if isinstance(value, list) else value


def _tell(number: int, row: Row, item: dict[str, Any], problem: str) -> None:
    if number <= REASONS:
        notes.print(f"{place(row.line, item.get('id'))} is rejected: {problem}", markup=False)


def place(line: int, item_id: str | None) -> str:
    """Where a row is, in words."""
    return f"line {line:,}" if item_id is None else f"line {line:,} (id {item_id})"
