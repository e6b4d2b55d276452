"""The text of a Word document (Office Open XML) as it is printed.

Headers come first, then the body, notes and footers. Lists keep their numbers, tables their rows
and columns. Deleted text, hidden text and pictures are left out.
"""

from io import BytesIO
from xml.etree.ElementTree import Element
from zipfile import ZipFile

from quorum.core.errors import DocumentUnreadable
from quorum.document.docx_numbering import LEVELS, Numbering, Styles, integer, is_on, value_of
from quorum.document.docx_package import Package
from quorum.document.symbols import symbol
from quorum.document.text_writer import TextWriter, raised

_DELETED = frozenset(("del", "moveFrom", "rPrChange", "pPrChange", "delInstrText", "instrText"))
_PROPERTIES = frozenset((
    "pPr", "rPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr", "sdtPr", "sdtEndPr", "customXmlPr",
    "smartTagPr", "numPr", "rubyPr", "fldData", "fPr", "naryPr", "radPr", "sSupPr", "sSubPr",
    "sSubSupPr", "dPr", "ctrlPr",
))  # fmt: skip
_BREAKS = frozenset(("br", "cr"))


def docx_text(data: bytes) -> str:
    """The text of a DOCX; raises `DocumentUnreadable`, and the errors of ZIP and XML readers."""
    with ZipFile(BytesIO(data)) as archive:
        package = Package(archive)
        main = package.main_part()
        if main is None:
            raise DocumentUnreadable(
                f"the file is {package.kind()}, not a DOCX", code="unsupported_type"
            )
        return _Document(package, main).text()


class _Document:
    """A document whose elements are visited one by one."""

    def __init__(self, package: Package, main: str) -> None:
        self._package = package
        self._main = main
        self._related = package.relationships(main)
        self._numbering = Numbering(self._story("numbering"))
        self._styles = Styles(self._story("styles"))
        settings = self._story("settings")
        even = settings.find("evenAndOddHeaders") if settings is not None else None
        self._has_even_pages = is_on(even)
        self._notes: list[tuple[str, str]] = []
        self._boxes: list[str] = []
        self._joins = False
        self._in_list = False
        self._by_tag = {
            "tbl": self._table,
            "tr": self._row,
            "tc": self._cell,
            "AlternateContent": self._alternatives,
            "txbxContent": self._text_box,
            "footnoteReference": self._note,
            "endnoteReference": self._note,
            "sym": self._symbol,
            "fldChar": self._form_field,
            "noBreakHyphen": self._hyphen,
            "ruby": self._ruby,
            "sSup": self._power,
            "sSub": self._index,
            "sSubSup": self._power_and_index,
            "f": self._fraction,
            "rad": self._root,
        }

    def text(self) -> str:
        """Headers, the body, notes and footers, each once."""
        body = self._package.xml(self._main)
        headers, footers = (self._pages(body, kind) for kind in ("header", "footer"))
        said = self._written(body)
        return "\n\n".join(
            dict.fromkeys(text for text in (*headers, said, *self._noted(), *footers) if text)
        )

    def _pages(self, body: Element, kind: str) -> list[str]:
        """The headers or footers, in the order in which sections name them."""
        targets = {name: target for name, of, target in self._related if of == kind}
        wanted: dict[str, None] = {}
        for section in body.iter("sectPr"):
            for element in section.iter(f"{kind}Reference"):
                target = targets.get(element.get("id", ""))
                if target and self._is_printed(element.get("type", "default"), section):
                    wanted[target] = None
        return [self._written(root) for name in wanted if (root := self._read(name)) is not None]

    def _is_printed(self, kind: str, section: Element) -> bool:
        """Whether a section has pages that show its header or footer of this kind."""
        if kind == "first":
            return is_on(section.find("titlePg"))
        return kind != "even" or self._has_even_pages

    def _noted(self) -> list[str]:
        """The notes that the body refers to, in its order, with their numbers."""
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
        except KeyError:  # a relationship to a missing part
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
        elif tag in self._by_tag:
            self._by_tag[tag](element, writer)
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
        """The list and level of a paragraph, from itself or from its style."""
        if properties is None:
            return None
        styled = self._styles.number(value_of(properties, "pStyle"))
        own = properties.find("numPr")
        if own is None:
            return styled
        name = value_of(own, "numId") or (styled[0] if styled else "")
        level = integer(value_of(own, "ilvl"), styled[1] if styled else 0)
        return (name, level) if name not in {"", "0"} else None

    def _run(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("rPr")
        if properties is None:
            self._walk(element, writer)
            return
        vanish = properties.find("vanish")
        hidden = (
            is_on(vanish)
            if vanish is not None
            else self._styles.is_hidden(value_of(properties, "rStyle"))
        )
        if hidden or properties.find("del") is not None:
            return
        script = {"superscript": "sup", "subscript": "sub"}.get(value_of(properties, "vertAlign"))
        struck = any(is_on(properties.find(name)) for name in ("strike", "dstrike"))
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
        """Write a character of a symbol font."""
        writer.keep(symbol(element.get("font", ""), int(element.get("char", "0") or "0", 16)))

    def _form_field(self, element: Element, writer: TextWriter) -> None:
        """Write a field of a form: a checkbox, ticked or not, or what was chosen of a list."""
        box = element.find("ffData/checkBox")
        if box is not None:
            ticked = box.find("checked")
            if ticked is None:
                ticked = box.find("default")
            on = ticked is not None and is_on(ticked)
            writer.keep("☒" if on else "☐")
        self._choice(element.find("ffData/ddList"), writer)

    def _choice(self, choices: Element | None, writer: TextWriter) -> None:
        """Write what was chosen of a list: the first entry unless it says another."""
        entries = [] if choices is None else choices.findall("listEntry")
        chosen = None if choices is None else choices.find("result")
        if chosen is None and choices is not None:
            chosen = choices.find("default")
        number = "0" if chosen is None else chosen.get("val", "0")
        if number.isascii() and number.isdigit() and int(number[:6]) < len(entries):
            writer.keep(entries[int(number[:6])].get("val", ""))

    def _hyphen(self, _element: Element, writer: TextWriter) -> None:
        writer.keep("-")

    def _ruby(self, element: Element, writer: TextWriter) -> None:
        """Write characters with the reading above them: 漢字(かんじ)."""
        base, reading = element.find("rubyBase"), element.find("rt")
        if base is not None:
            self._walk(base, writer)
        if reading is not None and (said := self._written(reading)):
            writer.keep(f"({said})")

    # ---- frames and formulas -------------------------------------------------------------------

    def _alternatives(self, element: Element, writer: TextWriter) -> None:
        """Write the first of several alternatives, which is what current versions of Word show."""
        choices = [*element.findall("Choice"), *element.findall("Fallback")]
        for choice in choices:
            if _has_text(choice):
                self._walk(choice, writer)
                return

    def _text_box(self, element: Element, _writer: TextWriter) -> None:
        """Write a text box, which is shown beside the paragraph that anchors it."""
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
            return  # a formula of a drawing, an element with the same name
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
        for _ in range(min(integer(value_of(properties, "gridBefore")), LEVELS)):
            writer.open_cell()
            writer.close_cell()
        self._walk(element, writer)
        writer.close_row()

    def _cell(self, element: Element, writer: TextWriter) -> None:
        properties = element.find("tcPr")
        writer.open_cell(columns=integer(value_of(properties, "gridSpan"), 1))
        merged = properties.find("vMerge") if properties is not None else None
        if merged is None or merged.get("val", "continue") == "restart":
            self._walk(element, writer)
        writer.close_cell()


def _has_text(element: Element) -> bool:
    return any(
        one.tag in {"t", "sym", "tab", "br", "footnoteReference", "endnoteReference", "fldChar"}
        for one in element.iter()
    )
