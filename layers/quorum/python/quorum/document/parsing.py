"""Text out of files: plain text, Markdown, HTML, PDF, DOCX.

Whatever needs a parser is read by `parsers` in a child process, bounded in memory, time and
what it gives back: a file made to exhaust its reader ends the child and nothing else. Pipes only,
so that it works in a Lambda; the child finds its packages where this process does.
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
"""Children at once: a Lambda has a processor or two, and memory for so many at their limit."""
_START_SECONDS = 10.0
"""A child may wait for a processor and import its parsers; its own time is CPU time."""


class Limits(Frozen):
    """What one file may be and take.

    `bytes` and `memory` (address space of the child) in bytes, `seconds` of CPU time.
    """

    bytes: int = Field(default=20 * MEBIBYTE, ge=1)
    pages: int = Field(default=2_000, ge=1)
    characters: int = Field(default=5_000_000, ge=1)
    seconds: float = Field(default=20.0, gt=0)
    memory: int = Field(default=512 * MEBIBYTE, ge=128 * MEBIBYTE)


class Parsed(Frozen):
    """A file's text; `pages` where it has any; `media_type` as it was found to be."""

    text: str
    pages: int | None = None
    media_type: str


LIMITS = Limits()


def text_of(
    data: bytes, media_type: str | None = None, name: str | None = None, limits: Limits = LIMITS
) -> Parsed:
    """The text of a file. `media_type` and `name` are hints: what it is, its bytes say.

    Raises `DocumentUnreadable`; its code is one of empty, too_large, too_many_pages, too_long,
    too_slow, too_complex, encrypted, broken, unsupported_type, unknown_encoding, no_text.
    """
    if len(data) > limits.bytes:
        raise DocumentUnreadable(
            f"the file is over {limits.bytes} bytes", code="too_large", limit=limits.bytes
        )
    if not data.strip():
        raise DocumentUnreadable("the file is empty", code="empty")
    parsed = _as_it_stands(data, media_type, name) or _by_a_child(data, media_type, name, limits)
    if len(parsed.text) > limits.characters:
        raise DocumentUnreadable(
            f"the text is over {limits.characters} characters",
            code="too_long",
            limit=limits.characters,
        )
    if not parsed.text.strip():
        raise DocumentUnreadable("there is no text in the file", code="no_text")
    return parsed


def _as_it_stands(data: bytes, media_type: str | None, name: str | None) -> Parsed | None:
    """Unicode text needs no parser; None if it is something else."""
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
        raise DocumentUnreadable("the file ends its reader", code="too_complex")
    answer = json.loads(said)
    if "code" in answer:
        raise DocumentUnreadable(answer.pop("message"), **answer)
    return Parsed.model_validate(answer)


def _told(header: dict[str, Any], data: bytes, limits: Limits) -> tuple[int, bytes]:
    """How the child ended, and what it said."""
    child = subprocess.Popen(  # noqa: S603 our own module
        [sys.executable, "-P", "-m", parsers.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # parsers complain of what they read
        # Nothing else of the environment: there are credentials in it.
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
        f"the file takes over {limits.seconds:g} seconds to read",
        code="too_slow",
        limit=int(limits.seconds),
    )
