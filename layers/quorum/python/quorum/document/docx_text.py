"""The text of a Word document (Office Open XML): what is printed of it.

Headers, the body, notes, then footers. Lists keep their numbers, tables their rows and columns.
What was deleted, what is hidden and what is not text is left out. Only the parts that hold text are
unpacked, and no further than all of them may be together.
"""

import posixpath
import re
from collections.abc import Iterator, Mapping
from io import BytesIO
from typing import NamedTuple
from urllib.parse import unquote
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat
from zipfile import ZipFile

from quorum.core.errors import DocumentUnreadable
from quorum.document.numbering import in_format
from quorum.document.text_writer import TextWriter, raised

UNPACKED_BYTES = 32 * 1024 * 1024
"""Bytes that all parts of a document may unpack to; 300 pages of text take about 2 MB."""
_DEPTH = 250
"""Elements inside each other; documents that people write have a few dozen."""
_BASED_ON_LIMIT = 20
"""Styles that a style may be based on, one on the other."""

_WORD = re.compile("wordprocessingml|ms-word")
_OTHER_KINDS = (
    ("spreadsheetml", "an Excel workbook"),
    ("presentationml", "a PowerPoint presentation"),
    ("hwp", "a Hangul document (HWPX)"),
    ("opendocument", "an OpenDocument file"),
    ("epub", "an EPUB"),
)
"""Content types of files that are packed like a DOCX."""
_STORIES = frozenset(
    ("header", "footer", "footnotes", "endnotes", "numbering", "styles", "settings")
)
_LEVELS = 9
_DELETED = frozenset(("del", "moveFrom", "rPrChange", "pPrChange", "delInstrText", "instrText"))
_PROPERTIES = frozenset(
    "pPr rPr tblPr tblGrid trPr tcPr sectPr sdtPr sdtEndPr customXmlPr smartTagPr numPr rubyPr"
    " fldData fPr naryPr radPr sSupPr sSubPr sSubSupPr dPr ctrlPr".split()
)
_BREAKS = frozenset(("br", "cr"))
_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x76: "❖", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢",
    0xE0: "→", 0xE8: "➔", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
_SYMBOL = (
    "ΑΒΧ∆ΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ",  # from 0x41
    "αβχδεφγηιϕκλμνοπθρστυϖωξψζ",  # from 0x61
)
_LETTERS = 26


def docx_text(data: bytes) -> str:
    """The text of a DOCX; raises `DocumentUnreadable`, and what ZIP and XML readers raise."""
    with ZipFile(BytesIO(data)) as archive:
        package = _Package(archive)
        main = package.main_part()
        if main is None:
            raise DocumentUnreadable(f"{package.kind()}, but no DOCX", code="unsupported_type")
        return _Document(package, main).text()


# ---- the package ------------------------------------------------------------------------------


class _Package:
    """The parts of a file, by name; each is unpacked when it is read."""

    def __init__(self, archive: ZipFile) -> None:
        self._archive = archive
        self._names = {_plain(name): name for name in archive.namelist()}
        self._left = UNPACKED_BYTES
        self._overrides, self._defaults = self._types()

    def main_part(self) -> str | None:
        """The part that is the document: by its relationship, else by its content type."""
        for target in self.related("", "officeDocument"):
            if target in self._names and _WORD.search(self._content_type(target)):
                return target
        for name, kind in self._overrides.items():
            if _WORD.search(kind) and kind.endswith(".main+xml") and name in self._names:
                return name
        return "word/document.xml" if "word/document.xml" in self._names else None

    def kind(self) -> str:
        """What the file is if it is no DOCX."""
        types = " ".join(self._overrides.values())
        if "mimetype" in self._names:
            types += self._bytes("mimetype")[:100].decode("latin-1")
        return next((kind for mark, kind in _OTHER_KINDS if mark in types), "a ZIP file")

    def xml(self, name: str) -> Element:
        """A part, parsed. Raises `DocumentUnreadable` for one that would unpack to too much."""
        return _parsed(self._bytes(name))

    def related(self, part: str, *kinds: str) -> list[str]:
        """The parts that a part is related to in such a way."""
        return [target for _, kind, target in self.relationships(part) if kind in kinds]

    def relationships(self, part: str) -> list[tuple[str, str, str]]:
        """The id, kind and target of each relationship of a part to another part of the file."""
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
        # What the directory says is what is unpacked: zipfile reads no further.
        member = self._archive.getinfo(self._names[name])
        self._left -= member.file_size
        if self._left < 0:
            raise DocumentUnreadable(
                "the file unpacks to far more than a document",
                code="too_complex",
                limit=UNPACKED_BYTES,
            )
        return self._archive.read(member)


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _parsed(data: bytes) -> Element:
    """XML as elements whose names have no namespace; a document type is refused unread."""
    parser = expat.ParserCreate(namespace_separator=" ")
    builder = TreeBuilder()
    depth = 0

    def begin(name: str, attributes: Mapping[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise DocumentUnreadable(
                "elements stand too deep inside each other", code="too_complex", limit=_DEPTH
            )
        builder.start(_local(name), {_local(key): value for key, value in attributes.items()})

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(_local(name))

    def refuse(*_: object) -> None:
        raise DocumentUnreadable("its XML declares entities", code="broken")

    parser.buffer_text = True
    parser.StartElementHandler = begin
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = refuse
    parser.Parse(data, True)  # noqa: FBT003 - expat takes it so
    return builder.close()


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


# ---- numbers and styles -----------------------------------------------------------------------


class _Level(NamedTuple):
    """How one level of a list is numbered."""

    form: str
    text: str
    start: int
    legal: bool


class _Numbering:
    """The numbers of lists, counted as their items come."""

    def __init__(self, root: Element | None) -> None:
        self._abstract: dict[str, Element] = {}
        self._of: dict[str, str] = {}
        self._overrides: dict[tuple[str, int], Element] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[tuple[str, int]] = set()
        if root is None:
            return
        self._abstract = {_value(one, "abstractNumId"): one for one in root.iter("abstractNum")}
        styled = {
            link.get("val", ""): key
            for key, one in self._abstract.items()
            for link in one.iter("styleLink")
        }
        for number in root.iter("num"):
            name, abstract = number.get("numId", ""), _of(number, "abstractNumId")
            link = _of(self._abstract.get(abstract), "numStyleLink")
            self._of[name] = styled.get(link, abstract)
            for override in number.iter("lvlOverride"):
                self._overrides[name, _integer(override.get("ilvl"))] = override

    def mark(self, name: str, level: int) -> str:
        """The number or bullet of the next item of a list, "" for none."""
        found = self._level(name, level)
        if found is None:
            return ""
        counts = self._counts.setdefault(self._of[name], [None] * _LEVELS)
        restarted = self._restart(name, level)
        count = counts[level]
        counts[level] = found.start if restarted or count is None else count + 1
        counts[level + 1 :] = [None] * (_LEVELS - level - 1)
        if found.form == "bullet":
            return "- "
        return self._written(name, found, counts)

    def _restart(self, name: str, level: int) -> bool:
        override = self._overrides.get((name, level))
        if override is None or override.find("startOverride") is None:
            return False
        first = (name, level) not in self._begun
        self._begun.add((name, level))
        return first

    def _written(self, name: str, found: _Level, counts: list[int | None]) -> str:
        text = found.text
        for level in range(_LEVELS):
            mark = f"%{level + 1}"
            if mark in text:
                of = self._level(name, level) or found
                number = counts[level] if counts[level] is not None else of.start
                form = "decimal" if found.legal else of.form
                text = text.replace(mark, in_format(number or 0, form))
        return f"{text} " if text.strip() else ""

    def _level(self, name: str, level: int) -> _Level | None:
        abstract = self._abstract.get(self._of.get(name, ""))
        if abstract is None or not 0 <= level < _LEVELS:
            return None
        override = self._overrides.get((name, level))
        written = override.find("lvl") if override is not None else None
        if written is None:
            wanted = str(level)
            written = next((one for one in abstract.iter("lvl") if one.get("ilvl") == wanted), None)
        if written is None:
            return None
        start = _integer(_of(written, "start"), 1 if written.find("start") is not None else 0)
        replaced = _of(override, "startOverride")
        return _Level(
            form=_of(written, "numFmt") or "decimal",
            text=_of(written, "lvlText"),
            start=_integer(replaced, start) if replaced else start,
            legal=_is_on(written.find("isLgl")),
        )


class _Styles:
    """What styles say of lists and of hidden text; a style says what those below it say."""

    def __init__(self, root: Element | None) -> None:
        found = root.iter("style") if root is not None else ()
        self._styles = {style.get("styleId", ""): style for style in found}

    def number(self, name: str) -> tuple[str, int] | None:
        """The list and level of a paragraph in such a style."""
        level: int | None = None
        for style in self._chain(name):
            properties = style.find("pPr/numPr")
            if properties is None:
                continue
            if level is None and properties.find("ilvl") is not None:
                level = _integer(_of(properties, "ilvl"))
            if listed := _of(properties, "numId"):
                return listed, level or 0
        return None

    def is_hidden(self, name: str) -> bool:
        """Whether text in such a style is hidden."""
        for style in self._chain(name):
            vanish = style.find("rPr/vanish")
            if vanish is not None:
                return _is_on(vanish)
        return False

    def _chain(self, name: str) -> Iterator[Element]:
        for _ in range(_BASED_ON_LIMIT):
            style = self._styles.get(name)
            if style is None:
                return
            yield style
            name = _of(style, "basedOn")


def _value(element: Element, name: str) -> str:
    return element.get(name, "")


def _of(element: Element | None, name: str) -> str:
    """The value of a property inside an element; "" without one."""
    found = element.find(name) if element is not None else None
    return found.get("val", "") if found is not None else ""


def _integer(text: str | None, otherwise: int = 0) -> int:
    try:
        return int(text or "")
    except ValueError:
        return otherwise


def _is_on(element: Element | None) -> bool:
    """Whether a property that is on or off is on."""
    return element is not None and element.get("val", "true").lower() not in {"0", "false", "off"}


# ---- the document -----------------------------------------------------------------------------


class _Document:
    """A document as it is walked through."""

    def __init__(self, package: _Package, main: str) -> None:
        self._package = package
        self._main = main
        self._related = package.relationships(main)
        self._numbering = _Numbering(self._story("numbering"))
        self._styles = _Styles(self._story("styles"))
        settings = self._story("settings")
        even = settings.find("evenAndOddHeaders") if settings is not None else None
        self._has_even_pages = _is_on(even)
        self._notes: list[tuple[str, str]] = []
        self._boxes: list[str] = []
        self._joins = False
        self._in_list = False

    def text(self) -> str:
        """Headers, the body, notes and footers, each once."""
        body = self._package.xml(self._main)
        headers, footers = (self._pages(body, kind) for kind in ("header", "footer"))
        said = self._written(body)
        return "\n\n".join(
            dict.fromkeys(text for text in (*headers, said, *self._noted(), *footers) if text)
        )

    def _pages(self, body: Element, kind: str) -> list[str]:
        """Headers or footers, in the order in which sections name them."""
        targets = {name: target for name, of, target in self._related if of == kind}
        wanted: dict[str, None] = {}
        for section in body.iter("sectPr"):
            for element in section.iter(f"{kind}Reference"):
                target = targets.get(element.get("id", ""))
                if target and self._is_printed(element.get("type", "default"), section):
                    wanted[target] = None
        return [self._written(root) for name in wanted if (root := self._read(name)) is not None]

    def _is_printed(self, kind: str, section: Element) -> bool:
        """Whether a section has pages for its header or footer of such a kind."""
        if kind == "first":
            return _is_on(section.find("titlePg"))
        return kind != "even" or self._has_even_pages

    def _noted(self) -> list[str]:
        """The notes that the body refers to, in that order, under the numbers they have there."""
        texts = []
        for kind in ("footnote", "endnote"):
            root = self._story(f"{kind}s")
            notes = (
                {note.get("id", ""): note for note in root.iter(kind)} if root is not None else {}
            )
            for number, (of, name) in enumerate(list(self._notes), 1):
                if of == kind and name in notes:
                    texts.append((number, f"[{number}] {self._written(notes[name])}"))
        return [text for _, text in sorted(texts)]

    def _story(self, kind: str) -> Element | None:
        name = next((target for _, of, target in self._related if of == kind), None)
        return self._read(name) if name else None

    def _read(self, name: str) -> Element | None:
        try:
            return self._package.xml(name)
        except KeyError:  # a relationship to a part that is not there
            return None

    def _written(self, root: Element) -> str:
        outside = self._joins, self._in_list, self._boxes
        self._joins, self._in_list, self._boxes = False, False, []
        writer = TextWriter()
        self._walk(root, writer)
        self._put_boxes(writer)
        self._joins, self._in_list, self._boxes = outside
        return writer.text().strip(" ")

    def _walk(self, element: Element, writer: TextWriter) -> None:
        for child in element:
            self._take(child, writer)

    def _take(self, element: Element, writer: TextWriter) -> None:
        tag = element.tag
        if tag in _DELETED or tag in _PROPERTIES:
            return
        if tag == "t":
            writer.keep(element.text or "")
        elif tag == "r":
            self._run(element, writer)
        elif tag == "p":
            self._paragraph(element, writer)
        elif tag in _BREAKS:
            writer.keep("\n")
        elif tag in {"tab", "ptab"}:
            writer.keep("\t")
        elif tag in _ELEMENTS:
            _ELEMENTS[tag](self, element, writer)
        else:
            self._walk(element, writer)

    # ---- paragraphs and runs -------------------------------------------------------------------

    def _paragraph(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("pPr")
        listed = self._listed(properties)
        if not self._joins:
            writer.line() if listed and self._in_list else writer.paragraph()
            self._in_list = bool(listed)
        self._joins = properties is not None and properties.find("rPr/del") is not None
        if listed and (mark := self._numbering.mark(*listed)) and _has_text(element):
            writer.mark_item(mark)
        self._walk(element, writer)
        writer.end_item()
        if not self._joins:
            writer.line() if listed else writer.paragraph()
            self._put_boxes(writer)

    def _listed(self, properties: Element | None) -> tuple[str, int] | None:
        """The list and level of a paragraph, by itself or by its style."""
        if properties is None:
            return None
        styled = self._styles.number(_of(properties, "pStyle"))
        own = properties.find("numPr")
        if own is None:
            return styled
        name = _of(own, "numId") or (styled[0] if styled else "")
        level = _integer(_of(own, "ilvl"), styled[1] if styled else 0)
        return (name, level) if name not in {"", "0"} else None

    def _run(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("rPr")
        if properties is None:
            self._walk(element, writer)
            return
        vanish = properties.find("vanish")
        hidden = (
            _is_on(vanish)
            if vanish is not None
            else self._styles.is_hidden(_of(properties, "rStyle"))
        )
        if hidden or properties.find("del") is not None:
            return
        script = {"superscript": "sup", "subscript": "sub"}.get(_of(properties, "vertAlign"))
        struck = any(_is_on(properties.find(name)) for name in ("strike", "dstrike"))
        if struck:
            writer.strike(begins=True)
        if script and element.find("t") is not None:
            writer.open_script(script)
        self._walk(element, writer)
        if script and element.find("t") is not None:
            writer.close_script()
        if struck:
            writer.strike(begins=False)

    def _note(self, element: Element, writer: TextWriter) -> None:
        kind = element.tag.removesuffix("Reference")
        self._notes.append((kind, element.get("id", "")))
        writer.keep(f"[{len(self._notes)}]")

    def _symbol(self, element: Element, writer: TextWriter) -> None:
        """A character of a font of symbols."""
        code = int(element.get("char", "0") or "0", 16)
        code -= 0xF000 if 0xF000 <= code <= 0xF0FF else 0
        font = element.get("font", "").lower()
        if font.startswith("wingdings"):
            writer.keep(_WINGDINGS.get(code, ""))
        elif font == "symbol":
            for first, letters in zip((0x41, 0x61), _SYMBOL, strict=True):
                if 0 <= code - first < _LETTERS:
                    writer.keep(letters[code - first])
                    return
            writer.keep(chr(code) if code < 0x7F and chr(code).isprintable() else "")
        elif code:
            writer.keep(chr(code))

    def _checkbox(self, element: Element, writer: TextWriter) -> None:
        """A box of a form; whether it is ticked."""
        box = element.find("ffData/checkBox")
        if box is not None:
            ticked = box.find("checked")
            if ticked is None:
                ticked = box.find("default")
            on = ticked is not None and _is_on(ticked)
            writer.keep("☒" if on else "☐")

    def _hyphen(self, _element: Element, writer: TextWriter) -> None:
        writer.keep("-")

    def _ruby(self, element: Element, writer: TextWriter) -> None:
        """Characters with their reading above: 漢字(かんじ)."""
        base, reading = element.find("rubyBase"), element.find("rt")
        if base is not None:
            self._walk(base, writer)
        if reading is not None and (said := self._written(reading)):
            writer.keep(f"({said})")

    # ---- what stands in a frame, and formulas --------------------------------------------------

    def _alternatives(self, element: Element, writer: TextWriter) -> None:
        """The first of several ways to write the same: what a Word of today shows."""
        choices = [*element.findall("Choice"), *element.findall("Fallback")]
        for choice in choices:
            if _has_text(choice):
                self._walk(choice, writer)
                return

    def _text_box(self, element: Element, _writer: TextWriter) -> None:
        """A box of text that stands beside the paragraph it is anchored in."""
        if said := self._written(element):
            self._boxes.append(said)

    def _put_boxes(self, writer: TextWriter) -> None:
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            writer.paragraph()
            writer.keep(box)
            writer.paragraph()

    def _power(self, element: Element, writer: TextWriter) -> None:
        self._scripted(element, writer, ("sup",))

    def _index(self, element: Element, writer: TextWriter) -> None:
        self._scripted(element, writer, ("sub",))

    def _power_and_index(self, element: Element, writer: TextWriter) -> None:
        self._scripted(element, writer, ("sub", "sup"))

    def _scripted(self, element: Element, writer: TextWriter, kinds: tuple[str, ...]) -> None:
        base = element.find("e")
        if base is not None:
            self._walk(base, writer)
        for kind in kinds:
            script = element.find(kind)
            if script is not None:
                writer.open_script(kind)
                self._walk(script, writer)
                writer.close_script()

    def _fraction(self, element: Element, writer: TextWriter) -> None:
        parts = [part for name in ("num", "den") if (part := element.find(name)) is not None]
        if len(parts) != len(("num", "den")):
            return  # a formula of a drawing, which has the same name
        above, below = (self._written(part) for part in parts)
        writer.keep("/".join(text if text.isalnum() else f"({text})" for text in (above, below)))

    def _root(self, element: Element, writer: TextWriter) -> None:
        degree, base = element.find("deg"), element.find("e")
        writer.keep(raised(self._written(degree)) if degree is not None else "")
        writer.keep(f"√({self._written(base)})" if base is not None else "√")

    # ---- tables --------------------------------------------------------------------------------

    def _table(self, element: Element, writer: TextWriter) -> None:
        writer.open_table()
        self._walk(element, writer)
        writer.close_table()

    def _row(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("trPr")
        if properties is not None and properties.find("del") is not None:
            return
        writer.open_row()
        for _ in range(min(_integer(_of(properties, "gridBefore")), _LEVELS)):
            writer.open_cell()
            writer.close_cell()
        self._walk(element, writer)
        writer.close_row()

    def _cell(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("tcPr")
        writer.open_cell(columns=_integer(_of(properties, "gridSpan"), 1))
        merged = properties.find("vMerge") if properties is not None else None
        if merged is None or merged.get("val", "continue") == "restart":
            self._walk(element, writer)
        writer.close_cell()


_ELEMENTS = {
    "tbl": _Document._table,
    "tr": _Document._row,
    "tc": _Document._cell,
    "AlternateContent": _Document._alternatives,
    "txbxContent": _Document._text_box,
    "footnoteReference": _Document._note,
    "endnoteReference": _Document._note,
    "sym": _Document._symbol,
    "fldChar": _Document._checkbox,
    "noBreakHyphen": _Document._hyphen,
    "ruby": _Document._ruby,
    "sSup": _Document._power,
    "sSub": _Document._index,
    "sSubSup": _Document._power_and_index,
    "f": _Document._fraction,
    "rad": _Document._root,
}


def _has_text(element: Element) -> bool:
    return any(
        one.tag in {"t", "sym", "tab", "br", "footnoteReference", "endnoteReference", "fldChar"}
        for one in element.iter()
    )
