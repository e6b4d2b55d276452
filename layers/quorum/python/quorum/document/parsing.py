"""The text of files: plain text, Markdown, HTML, PDF and DOCX.

Files that need a parser are read by `parsers` in a child process with limits of memory, time and
output: a file made to exhaust its reader ends the child and nothing else. The child is reached by
pipes only, so that it works in a Lambda, and has the same packages as this process.
"""

import json
import signal
import subprocess
import sys
from os import pathsep
from threading import BoundedSemaphore
from typing import Any

from pydantic import Field

from quorum.aws.environment import loader_environment
from quorum.core.errors import DocumentUnreadable
from quorum.core.models import Frozen
from quorum.document import parsers

MEBIBYTE = 1024 * 1024
_READERS = BoundedSemaphore(2)
"""Child processes at once: a Lambda has processors and memory for two at their limit."""
_START_SECONDS = 10.0
"""Seconds for a child to get a processor and import its parsers; its own limit is CPU time."""


class Limits(Frozen):
    """The limits of one file.

    `bytes` and `memory` (address space of the child) are in bytes, `seconds` are CPU time.
    """

    bytes: int = Field(default=20 * MEBIBYTE, ge=1)
    pages: int = Field(default=2_000, ge=1)
    characters: int = Field(default=5_000_000, ge=1)
    seconds: float = Field(default=20.0, gt=0)
    memory: int = Field(default=512 * MEBIBYTE, ge=128 * MEBIBYTE)


class Parsed(Frozen):
    """A file's text, its number of `pages` if it has any, and its detected `media_type`."""

    text: str
    pages: int | None = None
    media_type: str


LIMITS = Limits()


def text_of(
    data: bytes, media_type: str | None = None, name: str | None = None, limits: Limits = LIMITS
) -> Parsed:
    """The text of a file. `media_type` and `name` are hints; the bytes decide its type.

    Raises `DocumentUnreadable`; its code is one of empty, too_large, too_many_pages, too_long,
    too_slow, too_complex, encrypted, broken, unsupported_type, unknown_encoding, no_text.
    """
    if len(data) > limits.bytes:
        raise DocumentUnreadable(
            f"the file is larger than {limits.bytes} bytes", code="too_large", limit=limits.bytes
        )
    if not data.strip():
        raise DocumentUnreadable("the file is empty", code="empty")
    parsed = _as_it_stands(data, media_type, name) or _by_a_child(data, media_type, name, limits)
    if len(parsed.text) > limits.characters:
        raise DocumentUnreadable(
            f"the text is longer than {limits.characters} characters",
            code="too_long",
            limit=limits.characters,
        )
    if not parsed.text.strip():
        raise DocumentUnreadable("the file has no text", code="no_text")
    return parsed


def _as_it_stands(data: bytes, media_type: str | None, name: str | None) -> Parsed | None:
    """The file as Unicode text, which needs no parser; None if it is something else."""
    is_packed = data.startswith(b"PK") or parsers.is_pdf(data)
    text = None if is_packed else parsers.in_unicode(data)
    if text is None:
        return None
    kind = parsers.kind_of(text, media_type, name)
    return None if kind == parsers.HTML else Parsed(text=text, media_type=kind)


def _by_a_child(data: bytes, media_type: str | None, name: str | None, limits: Limits) -> Parsed:
    header = {"media_type": media_type, "name": name, "limits": limits.model_dump()}
    with _READERS:
        status, said = _told(header, data, limits)
    if status in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise _too_slow(limits)
    if status != 0:
        raise DocumentUnreadable("the file crashes its reader", code="too_complex")
    answer = json.loads(said)
    if "code" in answer:
        raise DocumentUnreadable(answer.pop("message"), **answer)
    return Parsed.model_validate(answer)


def _told(header: dict[str, Any], data: bytes, limits: Limits) -> tuple[int, bytes]:
    """Run the child on a file; returns its exit code and its output."""
    child = subprocess.Popen(  # noqa: S603 our own module
        [sys.executable, "-P", "-m", parsers.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # parsers print warnings about files
        # No other variable of the environment, which holds credentials.
        env=loader_environment() | {"PYTHONPATH": pathsep.join(filter(None, sys.path))},
    )
    with child:
        try:
            said, _ = child.communicate(
                json.dumps(header).encode() + b"\n" + data, timeout=limits.seconds + _START_SECONDS
            )
        except subprocess.TimeoutExpired:
            child.kill()
            raise _too_slow(limits) from None
    return child.returncode, said


def _too_slow(limits: Limits) -> DocumentUnreadable:
    return DocumentUnreadable(
        f"reading the file takes more than {limits.seconds:g} seconds",
        code="too_slow",
        limit=int(limits.seconds),
    )
