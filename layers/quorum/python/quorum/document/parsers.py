"""The parsers, which run in a process of their own, started by `parsing`.

The process is trusted with nothing but its input: it has no credentials, writes no file and ends if
it takes too much memory or time. stdin: a line of JSON (media_type, name, limits), then the file.
stdout: JSON, either text, pages and media_type or code, message and limit.
"""

import codecs
import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from quorum.core.byte_order import marked_encoding, unmarked_utf_16
from quorum.core.errors import DocumentUnreadable

TEXT, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_HEAD = 4096
_STANDARD_STREAMS = 3
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# No backtracking: endless comments must not take for ever here, where no limit of time holds yet.
_SPACE_AND_COMMENTS = r"(?>\s++|<!--(?>.*?-->)|<\?xml[^>]*+>)*+"
_HTML_START = re.compile(
    rf"{_SPACE_AND_COMMENTS}<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_OTHER_START = re.compile(r"\s*+(?:<\?xml|<!doctype|<!entity|\{\\rtf)", re.IGNORECASE)
_PDF_START = re.compile(rb"\s*+%PDF-\d")
_PDF_LINE = re.compile(rb"%PDF-\d\.\d[ \t]*+(?:[\r\n]|\Z)")
_PDF_OBJECT = re.compile(rb"\d++\s++\d++\s++obj\b")
_PDF_END = re.compile(rb"startxref\s++\d++\s++%%EOF\s*+\Z")
_PDF_WITHIN = 1024
"""Bytes that may precede a PDF: printers and mail programs leave some there."""
_ESCAPED = re.compile(rb"\x1b(?:\$[@B]|\([BJ]|\$\)[ACGE])")
"""The escape sequences of ISO-2022-JP, -KR and -CN, whose bytes are all ASCII."""
_KOREAN_ESCAPE = b"\x1b$)C"
_OLE = b"\xd0\xcf\x11\xe0"
_HWP = "a Hangul document (HWP): save it as DOCX or PDF"
_OLE_KINDS = (
    (b"HWP Document File", _HWP),
    ("WordDocument".encode("utf-16-le"), "a Word file of before 2007 (DOC)"),
    ("Workbook".encode("utf-16-le"), "an Excel file of before 2007 (XLS)"),
    ("PowerPoint Document".encode("utf-16-le"), "a PowerPoint file of before 2007 (PPT)"),
    ("__substg1.0_".encode("utf-16-le"), "an Outlook message (MSG)"),
)
"""Bytes found in a kind of OLE file, and the name of that kind."""
_OLE_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_HWP_3 = re.compile(r"HWP Document File V\d\.\d\d \x1a")


class Text(NamedTuple):
    """A file's text, its number of pages if it has any, and its detected type."""

    text: str
    pages: int | None
    media_type: str


def read(
    data: bytes, media_type: str | None, name: str | None, *, pages: int, characters: int
) -> Text:
    """The text of a file of any kind; raises `DocumentUnreadable`, and the errors of parsers."""
    if is_pdf(data):
        from quorum.document.pdf_text import pdf_text  # noqa: PLC0415 - as all: what is needed

        seal()
        text, count = pdf_text(data, pages, characters)
        return Text(text, count, PDF)
    if data.startswith(b"PK\x03\x04"):
        from quorum.document.docx_text import docx_text  # noqa: PLC0415 - as above

        seal()
        return Text(docx_text(data), None, DOCX)
    text = in_unicode(data) or _in_legacy(data, media_type)
    kind = kind_of(text, media_type, name)
    if kind == HTML:
        from quorum.document.html_text import html_text  # noqa: PLC0415 - as above

        seal()
        text = html_text(text)
    return Text(text, None, kind)


def is_pdf(data: bytes) -> bool:
    """Whether a file is a PDF, rather than a text about PDFs.

    A PDF's header is at the start of the file, on a line of its own or followed by objects. A file
    with the header further on is a PDF only if it is not text or ends like a PDF.
    """
    if _PDF_START.match(data.removeprefix(codecs.BOM_UTF8)):
        start = data.index(b"%PDF-")
        return bool(_PDF_LINE.match(data, start) or _PDF_OBJECT.search(data, start))
    start = data.find(b"%PDF-", 0, _PDF_WITHIN)
    if start < 0 or not _PDF_OBJECT.search(data, start):
        return False
    if _HTML_START.match(data[:start].decode("latin-1")):
        return False
    ends = _PDF_END.search(data, max(0, len(data) - _HEAD))
    return ends is not None or _BINARY.search(data, start) is not None


def in_unicode(data: bytes) -> str | None:
    """The text if it is certainly in a Unicode encoding; else None."""
    marked = marked_encoding(data) or unmarked_utf_16(data[:_HEAD])
    if marked is not None:
        try:
            return data.decode(marked)
        except UnicodeDecodeError:
            return None
    if b"\x00" in data or _ESCAPED.search(data):
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def kind_of(text: str, media_type: str | None, name: str | None) -> str:
    """Plain text, Markdown or HTML: by its beginning, else by its harmless name or media type.

    Raises `DocumentUnreadable` for XML that is not HTML, for RTF and for HWP.
    """
    called = (media_type or "").split(";")[0].strip().lower()
    ending = (name or "").rpartition(".")[2].lower()
    head = text[:_HEAD].lstrip("\ufeff")
    if _HWP_3.match(head):
        raise _unsupported(_HWP)
    if _HTML_START.match(head):
        return HTML
    if _OTHER_START.match(head):
        raise _unsupported("XML and RTF files are not supported")
    if called in {HTML, "application/xhtml+xml"} or ending in {"html", "htm", "xhtml"}:
        return HTML
    if called in {MARKDOWN, "text/x-markdown"} or ending in {"md", "markdown"}:
        return MARKDOWN
    return TEXT


def _unsupported(message: str) -> DocumentUnreadable:
    return DocumentUnreadable(message, code="unsupported_type")


def _in_legacy(data: bytes, media_type: str | None) -> str:
    """The text of bytes that are not Unicode; raises `DocumentUnreadable` if they are not text."""
    if data.startswith(_OLE):
        raise _ole(data)
    if _HWP_3.match(data[:_HEAD].decode("latin-1")):
        raise _unsupported(_HWP)
    if _KOREAN_ESCAPE in data:  # which has shifts that no other text has
        with suppress(UnicodeDecodeError):
            return data.decode("iso2022_kr")
    if _BINARY.search(data):
        raise _unsupported("the file is neither text nor PDF nor DOCX")
    from quorum.document.encodings import text_in  # noqa: PLC0415 - as above

    return text_in(data, media_type)


def _ole(data: bytes) -> DocumentUnreadable:
    """The reason why a file in Microsoft's older container is not read."""
    if _OLE_ENCRYPTED in data:
        return DocumentUnreadable("the Office file is encrypted", code="encrypted")
    kind = next((kind for mark, kind in _OLE_KINDS if mark in data), None)
    return _unsupported(kind or "an Office file of before 2007, or of another program")


def seal() -> None:
    """Keep this process from opening files and sockets and from starting processes.

    Code that takes over a parser then has the file and nothing more. Modules that a parser would
    import later must be imported before.
    """
    import resource  # noqa: PLC0415 - Unix only

    codecs.lookup("cp437")  # names in ZIP files
    for kind, most in ((resource.RLIMIT_NOFILE, _STANDARD_STREAMS), (resource.RLIMIT_NPROC, 0)):
        resource.setrlimit(kind, (most, most))


def _bound(seconds: float, memory: int) -> None:
    """Limit this process's time and memory, as far as the operating system can."""
    import resource  # noqa: PLC0415 - Unix only

    # One second after the limit the system kills the process.
    cpu = int(seconds) + 1
    wanted = ((resource.RLIMIT_CPU, cpu), (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0))
    for kind, most in wanted:
        resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))


def _answer(header: Mapping[str, Any], data: bytes) -> dict[str, Any]:
    limits = header["limits"]
    try:
        found = read(
            data,
            header["media_type"],
            header["name"],
            pages=limits["pages"],
            characters=limits["characters"],
        )
    except DocumentUnreadable as unreadable:
        return {
            "code": unreadable.code,
            "message": unreadable.message,
            "limit": unreadable.limit,
        }
    except (MemoryError, RecursionError):
        return {"code": "too_complex", "message": "reading the file takes too much memory"}
    except Exception as error:  # noqa: BLE001 whatever a parser says of a hostile file
        named = type(error).__name__
        code = "too_complex" if "Limit" in named else "broken"
        return {"code": code, "message": f"the file cannot be read ({named})"}
    # Cut just above the caller's limit, so that the caller sees that it is too long.
    return found._replace(text=found.text[: limits["characters"] + 1])._asdict()


def main() -> None:
    """Read one file from stdin and write its text to stdout."""
    header = json.loads(sys.stdin.buffer.readline())
    _bound(header["limits"]["seconds"], header["limits"]["memory"])
    sys.stdout.write(json.dumps(_answer(header, sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
