"""Where a command's results go: `--json` prints to stdout, for scripts; files are `--out`."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="as JSON to stdout, for scripts")]

STANDARD_OUTPUT = Path("-")
PRIVATE = 0o600
PIPED_CHARACTERS = 200
"""The width of what is printed into a pipe or a file."""
notes = Console(stderr=True, style="dim")
"""Progress and remarks: stdout is for results."""


def console() -> Console:
    """Standard output, as wide as the terminal or as COLUMNS says."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(width=None if narrow else PIPED_CHARACTERS)


def print_json(document: Any) -> None:
    """Print `document` to stdout and nothing else."""
    typer.echo(_text(document))


def write_json(out: Path, document: Any) -> None:
    """Write `document` to the file `out`, or to stdout for `-`."""
    with opened(out) as target:
        target.write(_text(document) + "\n")


@contextmanager
def opened(out: Path | None, *, private: bool = False) -> Iterator[IO[str]]:
    """The file `out`, readable by its owner only if `private`; stdout for None and `-`."""
    if out is None or out == STANDARD_OUTPUT:
        yield sys.stdout
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    file = os.open(out, flags, PRIVATE if private else 0o666)
    with open(file, "w", encoding="utf-8", newline="") as target:  # noqa: PTH123 a descriptor
        yield target


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False)
