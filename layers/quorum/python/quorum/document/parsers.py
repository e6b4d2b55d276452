"""What is read in a process of its own, started by `parsing`.

Nothing here is trusted with more than its input: the process has no credentials, writes no file
and ends when it takes too much memory or time. stdin: a line of JSON (media_type, name, limits),
then the file. stdout: JSON, either text, pages and media_type or code, message and limit.
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from quorum.core.errors import DocumentUnreadable

TEXT, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"

_BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_LEGACY = [
    "cp949", "cp932", "gb18030", "big5", "euc_jp", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254",
    "cp1255", "cp1256", "koi8_r",
]  # fmt: skip
"""Encodings without a mark that are looked for: those texts are still found in."""
_HEAD = 4096
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
# Nothing is tried twice: comments without end must not take for ever here, outside of any bound.
_SPACE_AND_COMMENTS = r"(?>\s++|<!--(?>.*?-->)|<\?xml[^>]*+>)*+"
_HTML_START = re.compile(
    rf"{_SPACE_AND_COMMENTS}<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_OTHER_START = re.compile(r"\s*+(?:<\?xml|<!doctype|<!entity|\{\\rtf)", re.IGNORECASE)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)

_DOCX_XML_BYTES = 32 * 1024 * 1024
"""Unpacked; the text of a 300-page document takes about 2 MB of it."""
_DEPTH = 500
"""Elements inside each other; pages people write have a few dozen."""

_SKIPPED = frozenset(
    ("script", "style", "template", "noscript", "iframe", "object", "svg", "canvas", "head")
)
_PARAGRAPHS = frozenset(
    ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "table", "blockquote", "pre", "hr")
)
_LINES = {
    "div",
    "section",
    "article",
    "header",
    "footer",
    "main",
    "nav",
    "aside",
    "address",
    "form",
}
_LINES |= {"body", "li", "tr", "dt", "dd", "br", "figure", "figcaption", "caption", "legend"}
_CELLS = frozenset(("td", "th"))
_BLANKS = re.compile(r"[ \t\n\r\f]+")
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class Text(NamedTuple):
    """A file's text, its pages where it has any, and what it turned out to be."""

    text: str
    pages: int | None
    media_type: str


def read(
    data: bytes, media_type: str | None, name: str | None, *, pages: int, characters: int
) -> Text:
    """The text of a file of any kind; raises `DocumentUnreadable`, and whatever parsers raise."""
    if b"%PDF-" in data[:1024]:
        return _pdf(data, pages, characters)
    if data.startswith(b"PK\x03\x04"):
        return _docx(data)
    text = in_unicode(data) or _in_legacy(data, media_type)
    kind = kind_of(text, media_type, name)
    return Text(_html(text) if kind == HTML else text, None, kind)


def in_unicode(data: bytes) -> str | None:
    """The text in a Unicode encoding that can be told for certain; None if it is in none."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding)
            except UnicodeDecodeError:
                return None
    if b"\x00" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def kind_of(text: str, media_type: str | None, name: str | None) -> str:
    """Plain text, Markdown or HTML: by its beginning, else as it is called, which harms nobody.

    Raises `DocumentUnreadable` for XML that is not HTML, and for RTF.
    """
    called = (media_type or "").split(";")[0].strip().lower()
    ending = (name or "").rpartition(".")[2].lower()
    head = text[:_HEAD].lstrip("\ufeff")
    if _HTML_START.match(head):
        return HTML
    if _OTHER_START.match(head):
        raise _unsupported("XML and RTF are not read")
    if called in {HTML, "application/xhtml+xml"} or ending in {"html", "htm", "xhtml"}:
        return HTML
    if called in {MARKDOWN, "text/x-markdown"} or ending in {"md", "markdown"}:
        return MARKDOWN
    return TEXT


def _whole(text: str) -> str:
    """Without halves of characters, which some encodings let through."""
    return text.encode(errors="replace").decode()


def _unsupported(message: str) -> DocumentUnreadable:
    return DocumentUnreadable(message, code="unsupported_type")


def _in_legacy(data: bytes, media_type: str | None) -> str:
    """The text in the encoding it names, else in the one it most likely is in."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise _unsupported("an encrypted Office file, or one of before 2007")
    if _BINARY.search(data):
        raise _unsupported("neither text nor PDF nor DOCX")
    head = data[:_HEAD].decode("latin-1")
    named = _CHARSET.search(media_type or "") or (_CHARSET.search(head) if "<" in head else None)
    if named:
        try:
            return _whole(data.decode(named[1]))
        except (LookupError, UnicodeError):
            pass  # it is not what it says
    from charset_normalizer import from_bytes  # noqa: PLC0415 - as all here: only what is needed

    found = from_bytes(data, cp_isolation=_LEGACY)
    best = found.best()
    if best is None:
        raise DocumentUnreadable("its character encoding is not known", code="unknown_encoding")
    even = {match.encoding for match in found if match.coherence == best.coherence}
    # Central and western European differ in few letters; where nothing tells, western is likelier.
    return data.decode("cp1252") if best.encoding == "cp1250" and "cp1252" in even else str(best)


def _pdf(data: bytes, pages: int, characters: int) -> Text:
    from pypdf import PasswordType, PdfReader  # noqa: PLC0415 - when needed

    reader = PdfReader(BytesIO(data))
    if reader.is_encrypted and reader.decrypt("") == PasswordType.NOT_DECRYPTED:
        raise DocumentUnreadable("the file is encrypted", code="encrypted")
    count = len(reader.pages)
    if count > pages:
        raise DocumentUnreadable(
            f"the file has {count} pages, over {pages}", code="too_many_pages", limit=pages
        )
    texts: list[str] = []
    for page in reader.pages:
        texts.append(_tidy(page.extract_text()))
        characters -= len(texts[-1])
        if characters < 0:
            break  # too long, as the caller will say
    return Text("\n\n".join(text for text in texts if text), count, PDF)


def _docx(data: bytes) -> Text:
    from zipfile import ZipFile  # noqa: PLC0415 - when needed

    with ZipFile(BytesIO(data)) as archive:
        files = archive.infolist()
    if not any(file.filename == "word/document.xml" for file in files):
        raise _unsupported("a ZIP file, but no DOCX")
    # What the directory says is what is unpacked: zipfile reads no further.
    unpacked = sum(file.file_size for file in files if file.filename.endswith((".xml", ".rels")))
    if unpacked > _DOCX_XML_BYTES:
        raise DocumentUnreadable(
            "the file unpacks to far more than a document",
            code="too_complex",
            limit=_DOCX_XML_BYTES,
        )
    import mammoth  # noqa: PLC0415 - when needed

    # Pictures are not looked at, nor is anything outside of the file.
    converted = mammoth.convert_to_html(
        BytesIO(data), convert_image=lambda _image: [], external_file_access=False
    )
    return Text(_html(str(converted.value)), None, DOCX)


def _html(text: str) -> str:
    """What a reader sees: one line for each line, a blank one between paragraphs."""
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - when needed

    body = LexborHTMLParser(text).body
    written = _Writing()
    for node, begins in _walked(body) if body is not None else ():
        written.take(node, begins=begins)
    return _tidy("".join(written.pieces))


def _walked(top: Any) -> Iterator[tuple[Any, bool]]:
    """Every node twice, where it begins (True) and where it ends; nothing of what is skipped."""
    node, depth = top, 0
    while True:
        yield node, True
        if node.tag not in _SKIPPED and node.child is not None:
            node, depth = node.child, depth + 1
            if depth > _DEPTH:
                raise DocumentUnreadable(
                    "elements stand too deep inside each other", code="too_complex", limit=_DEPTH
                )
            continue
        yield node, False
        while depth and node.next is None:
            node, depth = node.parent, depth - 1
            yield node, False
        if not depth:
            return
        node = node.next


class _Writing:
    """Text as it comes, white space as a browser shows it."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._gap = ""
        self._preformatted = 0

    def take(self, node: Any, *, begins: bool) -> None:
        tag = node.tag
        if tag == "-text":
            if begins:
                self._write(node.text_content or "")
        elif tag == "pre":
            self._preformatted += 1 if begins else -1
            self._break("\n\n")
        elif tag in _PARAGRAPHS:
            self._break("\n\n")
        elif tag in _LINES:
            self._break("\n")
            if tag == "li" and begins:
                self._write("- ")
        elif tag in _CELLS and not begins:
            self._break("\t")

    def _break(self, gap: str) -> None:
        order = ("", " ", "\t", "\n", "\n\n")
        self._gap = max(self._gap, gap, key=order.index)

    def _write(self, text: str) -> None:
        if self._preformatted:
            self._put(text)
            return
        folded = _BLANKS.sub(" ", text)
        if folded.startswith(" "):
            self._break(" ")
        if folded.strip(" "):
            self._put(folded.strip(" "))
            if folded.endswith(" "):
                self._break(" ")

    def _put(self, text: str) -> None:
        if self._gap and self.pieces:
            self.pieces.append(self._gap)
        self.pieces.append(text)
        self._gap = ""


def _tidy(text: str) -> str:
    """Without what shows nothing: control characters, half characters, blanks at a line's end."""
    shown = _UNSHOWN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    lines = (line.rstrip(" \t") for line in shown.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _bound(seconds: float, memory: int) -> None:
    """This process from now on; what a system does not know it does not bound."""
    import resource  # noqa: PLC0415 - Unix only

    # One second more than asked for, then the end without a word.
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
        return {"code": "too_complex", "message": "the file takes too much memory to read"}
    except Exception as error:  # noqa: BLE001 whatever a parser says of a hostile file
        named = type(error).__name__
        code = "too_complex" if "Limit" in named else "broken"
        return {"code": code, "message": f"the file cannot be read ({named})"}
    # No more than the caller would take; it counts, and says that it is too long.
    return found._replace(text=found.text[: limits["characters"] + 1])._asdict()


def main() -> None:
    """One file from stdin to stdout."""
    header = json.loads(sys.stdin.buffer.readline())
    _bound(header["limits"]["seconds"], header["limits"]["memory"])
    sys.stdout.write(json.dumps(_answer(header, sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
