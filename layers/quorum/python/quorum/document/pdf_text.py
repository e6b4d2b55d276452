"""The text of a PDF, with what is filled into its forms where it was filled in.

PDFium reads it: it knows the old character maps of Korean, Japanese and Chinese fonts, and says of
each character whether its font tells what it is. Runs sealed (`parsers.seal`): without files,
sockets and children.
"""

import ctypes
from typing import Any, NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from quorum.core.errors import DocumentUnreadable
from quorum.document.text_writer import raised, tidy

_UNTOLD_SHARE = 0.25
"""The share of characters whose fonts do not tell them, above which a text is not worth reading."""
_UNTOLD = "\ufffd"
_PASSWORD_NEEDED, _PROTECTION_UNKNOWN = pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY
_HYPHEN = 0x02
"""What PDFium gives for the hyphen at a line's end, in place of the hyphen and the end."""
_NEAR = 2.0
"""Points that a field may overlap the label on its left."""
_ABOVE = 20.0
"""Points between a field and a label above it."""
_SCRIPT_LIMIT = 20
"""Characters of one exponent."""
_VALUE_CHARACTERS = 32_768
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_CHECKS = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_CHOICES = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_PASSWORD_FIELD = 1 << 13
_OPTIONS_LIMIT = 1_000


class _Box(NamedTuple):
    """Where something stands on a page, in points from its lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        return self.top - self.bottom


class _Entry(NamedTuple):
    """What was filled in, where, and what its field is called."""

    box: _Box
    text: str
    name: str


def pdf_text(data: bytes, pages: int, characters: int) -> tuple[str, int]:
    """The text and the number of pages; no further than `characters` are exceeded.

    Raises `DocumentUnreadable`: encrypted, broken, too_many_pages, or no_text where the fonts do
    not tell which characters they show.
    """
    with _opened(data) as document:
        count = len(document)
        if count > pages:
            raise DocumentUnreadable(
                f"the file has {count} pages, over {pages}", code="too_many_pages", limit=pages
            )
        if document.get_formtype() != pdfium.FORMTYPE_NONE:
            document.init_forms()
        texts: list[str] = []
        told = untold = 0
        for number in range(count):
            page = _Page(document, number)
            texts.append(tidy(page.text()))
            page.close()
            told, untold = told + page.told, untold + page.untold
            characters -= len(texts[-1])
            if characters < 0:
                break  # too long, as the caller will say
    if untold > _UNTOLD_SHARE * (told + untold):
        raise DocumentUnreadable(
            "the fonts in the file do not say which characters they show: it can be looked at, or"
            " read by OCR, but has no text",
            code="no_text",
        )
    return "\n\n".join(text for text in texts if text), count


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (_PASSWORD_NEEDED, _PROTECTION_UNKNOWN):
            raise DocumentUnreadable("the file is encrypted", code="encrypted") from error
        raise


class _Page:
    """The characters of one page, in the order in which the file shows them."""

    def __init__(self, document: pypdfium2.PdfDocument, number: int) -> None:
        self._form = document.formenv
        self._page = document[number]
        self._text = self._page.get_textpage()
        self._count = max(0, pdfium.FPDFText_CountChars(self._text))
        self.told = 0
        self.untold = 0

    def close(self) -> None:
        """Frees the page."""
        self._text.close()
        self._page.close()

    def text(self) -> str:
        """The page's text, filled in; counts the characters that fonts tell and do not tell."""
        units = [self._unit(index) for index in range(self._count)]
        self._mend_lines(units)
        for at, text in self._filled_in(units):
            units.insert(at, text)
        # Characters beyond the first plane come as two halves.
        return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _unit(self, index: int) -> str:
        code = pdfium.FPDFText_GetUnicode(self._text, index)
        if pdfium.FPDFText_HasUnicodeMapError(self._text, index) == 1:
            self.untold += 1
            return _UNTOLD
        if code == _HYPHEN and pdfium.FPDFText_IsHyphen(self._text, index) == 1:
            return "-\n"
        self.told += 1
        return chr(code)

    def _box(self, index: int, *, loose: bool = False) -> _Box:
        """The box of a character; a loose one is as high as its font."""
        if loose:
            rect = pdfium.FS_RECTF()
            pdfium.FPDFText_GetLooseCharBox(self._text, index, rect)
            return _Box(rect.left, rect.bottom, rect.right, rect.top)
        sides = [ctypes.c_double() for _ in range(4)]
        pdfium.FPDFText_GetCharBox(self._text, index, *sides)
        left, right, bottom, top = (side.value for side in sides)
        return _Box(left, bottom, right, top)

    # ---- exponents -----------------------------------------------------------------------------

    def _mend_lines(self, units: list[str]) -> None:
        """Takes back the lines that PDFium ends before and behind raised characters: x² + 1."""
        script = False
        for index in range(1, self._count - 2):
            if units[index] != "\r" or units[index + 1] != "\n":
                continue
            after = next((i for i in range(index + 2, self._count) if units[i].strip()), None)
            if after is None:
                return
            here, there = self._box(index - 1, loose=True), self._box(after, loose=True)
            step = there.left - here.right
            size = max(here.height, there.height)
            overlap = min(here.top, there.top) - max(here.bottom, there.bottom)
            if not -0.3 * size <= step <= size or overlap < 0.4 * min(here.height, there.height):
                continue
            units[index] = units[index + 1] = ""
            script = there.height < 0.85 * here.height and there.bottom > here.bottom
            if script:
                self._raise(units, after)

    def _raise(self, units: list[str], first: int) -> None:
        """Raises the characters of one size that begin at `first`."""
        size = self._box(first, loose=True).height
        last = first
        while last < self._count and units[last].strip() and last - first < _SCRIPT_LIMIT:
            if abs(self._box(last, loose=True).height - size) > 0.1 * size:
                break
            last += 1
        before = next((units[i] for i in range(first - 1, -1, -1) if units[i].strip()), "")
        units[first] = raised("".join(units[first:last]), before)
        units[first + 1 : last] = [""] * (last - first - 1)

    # ---- forms ---------------------------------------------------------------------------------

    def _filled_in(self, units: list[str]) -> list[tuple[int, str]]:
        """What was filled in and before which character it goes, from the page's end on."""
        entries = self._entries()
        if not entries:
            return []
        boxes = {index: self._box(index) for index in range(self._count) if units[index].strip()}
        placed = [(*self._place(entry, boxes, units), entry.box.left) for entry in entries]
        placed.sort(key=lambda place: (-place[0], -place[2]))
        return [(at, text) for at, text, _ in placed]

    def _place(self, entry: _Entry, boxes: dict[int, _Box], units: list[str]) -> tuple[int, str]:
        """Behind the label on its left, else before the one on its right, else below one above."""
        field = entry.box
        level = {
            index: box
            for index, box in boxes.items()
            if field.bottom <= (box.bottom + box.top) / 2 <= field.top
        }
        left = [
            (box.right, index) for index, box in level.items() if box.right <= field.left + _NEAR
        ]
        if left:
            return max(left)[1] + 1, f" {entry.text}"
        right = [
            (box.left, index) for index, box in level.items() if box.left >= field.right - _NEAR
        ]
        if right:
            return min(right)[1], f"{entry.text} "
        above = [
            (box.bottom, -index)
            for index, box in boxes.items()
            if 0 <= box.bottom - field.top + _NEAR <= _ABOVE
            and box.left < field.right
            and box.right > field.left
        ]
        if above:
            at = -min(above)[1]
            while at < len(units) and units[at] not in {"\r", "\n"}:
                at += 1
            return at, f"\n{entry.text}"
        return len(units), f"\n{entry.name}: {entry.text}" if entry.name else f"\n{entry.text}"

    def _entries(self) -> list[_Entry]:
        found = []
        for index in range(max(0, pdfium.FPDFPage_GetAnnotCount(self._page))):
            annotation = pdfium.FPDFPage_GetAnnot(self._page, index)
            if not annotation:
                continue
            try:
                entry = self._entry(annotation)
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
            if entry is not None and entry.text.strip():
                found.append(entry)
        return found

    def _entry(self, annotation: Any) -> _Entry | None:
        """What an annotation shows as text; None for one that shows none."""
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        rect = pdfium.FS_RECTF()
        if pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
            return None
        if not pdfium.FPDFAnnot_GetRect(annotation, rect):
            return None
        box = _Box(
            min(rect.left, rect.right),
            min(rect.bottom, rect.top),
            max(rect.left, rect.right),
            max(rect.bottom, rect.top),
        )
        if kind == pdfium.FPDF_ANNOT_FREETEXT:
            said = _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
            return _Entry(box, said.replace("\r", "\n"), "")
        if kind != pdfium.FPDF_ANNOT_WIDGET or self._form is None:
            return None
        return self._field(annotation, box)

    def _field(self, annotation: Any, box: _Box) -> _Entry | None:
        form = self._form.raw
        kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
        name = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation) or _string(
            pdfium.FPDFAnnot_GetFormFieldName, form, annotation
        )
        if kind in _CHECKS:
            checked = pdfium.FPDFAnnot_IsChecked(form, annotation)
            return _Entry(box, "[x]" if checked else "[ ]", name)
        if kind in _CHOICES:
            chosen = self._chosen(annotation)
            if chosen:
                return _Entry(box, ", ".join(chosen), name)
        elif kind != pdfium.FPDF_FORMFIELD_TEXTFIELD:
            return None
        if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FIELD:
            return None
        value = _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
        return _Entry(box, value.replace("\r\n", "\n").replace("\r", "\n"), name)

    def _chosen(self, annotation: Any) -> list[str]:
        form = self._form.raw
        count = min(max(0, pdfium.FPDFAnnot_GetOptionCount(form, annotation)), _OPTIONS_LIMIT)
        return [
            _string(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, option)
            for option in range(count)
            if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, option)
        ]


def _string(get: Any, *given: Any) -> str:
    """What a function of PDFium's gives that writes UTF-16 into a buffer: first how long it is."""
    size = min(get(*given, None, 0), 2 * _VALUE_CHARACTERS)
    if size <= len(b"\0\0"):
        return ""
    buffer = ctypes.create_string_buffer(size)
    get(*given, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")
