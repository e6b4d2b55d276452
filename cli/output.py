"""The output of commands: `--json` prints to stdout, for scripts; `--out` names a file."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated, Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

AsJson = Annotated[bool, typer.Option("--json", help="as JSON to stdout, for scripts")]

STANDARD_OUTPUT = Path("-")
PRIVATE = 0o600
PIPED_CHARACTERS = 200
"""Characters of a line that is printed into a pipe or a file."""
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|(?:\x1b[P\]X^_]|[\x90\x9d\x98\x9e\x9f])"
    r"[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)|\x1b[ -/]*[0-~]"
)
"""Escape sequences of ECMA-48: they colour, move, clear, set titles and clipboards, and answer."""
_C1 = re.compile("[\x7f-\x9f]")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """`text` without escape sequences, control characters and changes of direction."""
    return _CONTROLS.sub("", _SEQUENCES.sub("", text))


class SafeConsole(Console):
    """A console that prints untrusted texts: control sequences in them are removed."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterator[Segment]:
        """The segments of a renderable, cleaned; Rich's own control codes are kept."""
        for segment in super().render(renderable, options):
            if segment.control:
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


def console() -> SafeConsole:
    """A console on standard output, as wide as the terminal or COLUMNS."""
    narrow = sys.stdout.isatty() or "COLUMNS" in os.environ
    return SafeConsole(width=None if narrow else PIPED_CHARACTERS)


def print_json(document: Any) -> None:
    """Print `document` to stdout and nothing else."""
    typer.echo(_text(document))


def write_json(out: Path, document: Any) -> None:
    """Write `document` to the file `out`, or to stdout for `-`."""
    with opened(out) as target:
        target.write(_text(document) + "\n")


notes = SafeConsole(stderr=True, style="dim")
"""The console for progress and remarks, on stderr: stdout is for results."""


@contextmanager
def opened(
    out: Path | None, *, private: bool = False, for_spreadsheets: bool = False
) -> Iterator[IO[str]]:
    """Open the file `out`, readable by its owner only if `private`; stdout for None and `-`.

    With `for_spreadsheets` it begins with a byte order mark, by which they recognise UTF-8.
    """
    if out is None or out == STANDARD_OUTPUT:
        yield sys.stdout
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    file = os.open(out, flags, PRIVATE if private else 0o666)
    encoding = "utf-8-sig" if for_spreadsheets else "utf-8"
    with open(file, "w", encoding=encoding, newline="") as target:  # noqa: PTH123 a descriptor
        yield target


def as_json_line(document: Any) -> str:
    """`document` on one line, with control characters escaped as JSON may."""
    return _escaped(json.dumps(document, ensure_ascii=False))


def _text(document: Any) -> str:
    return _escaped(json.dumps(document, indent=2, ensure_ascii=False))


def _escaped(text: str) -> str:
    return _C1.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
