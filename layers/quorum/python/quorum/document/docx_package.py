"""The parts of an Office file: a ZIP of XML files, with limits on their unpacked size and depth.

A part is unpacked when it is read, and only up to the limit for all parts read together.
"""

import posixpath
import re
from collections.abc import Mapping
from urllib.parse import unquote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from zipfile import ZipFile

from quorum.core.errors import DocumentUnreadable

UNPACKED_BYTES = 32 * 1024 * 1024
"""Bytes of all unpacked parts of a file together; 300 pages of text take about 2 MB."""
_DEPTH = 250
"""Levels of nested elements; documents that people write have a few dozen."""

_WORD = re.compile("wordprocessingml|ms-word")
_OTHER_KINDS = (
    ("spreadsheetml", "an Excel workbook"),
    ("presentationml", "a PowerPoint presentation"),
    ("hwp", "a Hangul document (HWPX)"),
    ("opendocument", "an OpenDocument file"),
    ("epub", "an EPUB"),
)
"""Parts of content types, and the kind of file that has them and is a ZIP like a DOCX."""


class Package:
    """The parts of a file, by name; each is unpacked when it is read."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._names = {_plain(name): name for name in archive.namelist()}
        self._left = UNPACKED_BYTES
        self._overrides, self._defaults = self._types()

    def main_part(self) -> str | None:
        """The part with the document, found by its relationship, else by its content type."""
        for target in self.related("", "officeDocument"):
            if target in self._names and _WORD.search(self._content_type(target)):
                return target
        for name, kind in self._overrides.items():
            if _WORD.search(kind) and kind.endswith(".main+xml") and name in self._names:
                return name
        return "word/document.xml" if "word/document.xml" in self._names else None

    def kind(self) -> str:
        """The kind of a file that is not a DOCX."""
        types = " ".join(self._overrides.values())
        if "mimetype" in self._names:
            types += self._bytes("mimetype")[:100].decode("latin-1")
        return next((kind for mark, kind in _OTHER_KINDS if mark in types), "a ZIP file")

    def xml(self, name: str) -> Element:
        """A part, parsed. Raises `DocumentUnreadable` if it would unpack to too many bytes."""
        return _parsed(self._bytes(name))

    def related(self, part: str, *kinds: str) -> list[str]:
        """The targets of a part's relationships of the given kinds."""
        return [target for _, kind, target in self.relationships(part) if kind in kinds]

    def relationships(self, part: str) -> list[tuple[str, str, str]]:
        """The id, kind and target of a part's relationships to other parts of the file."""
        folder, _, name = part.rpartition("/")
        described = f"{folder}/_rels/{name}.rels".lstrip("/")
        if described not in self._names:
            return []
        found = []
        for element in self.xml(described):
            target = unquote(element.get("Target", ""))
            if element.get("TargetMode") == "External" or not target:
                continue
            path = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/").lower()
            kind = element.get("Type", "").rpartition("/")[2]
            found.append((element.get("Id", ""), kind, path))
        return found

    def _content_type(self, name: str) -> str:
        return self._overrides.get(name) or self._defaults.get(name.rpartition(".")[2], "")

    def _types(self) -> tuple[dict[str, str], dict[str, str]]:
        overrides: dict[str, str] = {}
        defaults: dict[str, str] = {}
        known = "[content_types].xml"
        for element in self.xml(known) if known in self._names else ():
            kind = element.get("ContentType", "")
            if name := element.get("PartName"):
                overrides[_plain(name)] = kind
            elif ending := element.get("Extension"):
                defaults[ending.lower()] = kind
        return overrides, defaults

    def _bytes(self, name: str) -> bytes:
        # The directory's size is the limit: zipfile unpacks no further.
        member = self._archive.getinfo(self._names[name])
        self._left -= member.file_size
        if self._left < 0:
            raise DocumentUnreadable(
                "the file unpacks to too many bytes for a document",
                code="too_complex",
                limit=UNPACKED_BYTES,
            )
        return self._archive.read(member)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _parsed(data: bytes) -> Element:
    """XML as elements without namespaces in their names; a document type is refused unread."""
    parser = expat.ParserCreate(namespace_separator=" ")
    builder = TreeBuilder()
    depth = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise DocumentUnreadable(
                "the file's elements are nested too deeply", code="too_complex", limit=_DEPTH
            )
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse(*_: object) -> None:
        raise DocumentUnreadable("the file's XML declares entities", code="broken")

    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)  # noqa: FBT003 - expat takes it so
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]
