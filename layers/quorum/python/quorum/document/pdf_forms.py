"""Entries in a PDF: the fields of its form, and text typed on top of a page.

Each is placed where a reader looks for it: after the label on its left, before the one on its
right, or below the one above.
"""

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium

_NEAR = 2.0
"""Points by which a field may overlap the label on its left."""
_ABOVE = 20.0
"""Points between a field and the label above it, at most."""
_VALUE_CHARACTERS = 32_768
_UNSEEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
_CHECKS = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_CHOICES = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
_PASSWORD_FIELD = 1 << 13
_OPTIONS_LIMIT = 1_000


class Box(NamedTuple):
    """The position of something on a page, in points from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        """The height, in points."""
        return self.top - self.bottom


class Entry(NamedTuple):
    """The text of an entry, its box, and the name of its field."""

    box: Box
    text: str
    name: str


def place(entry: Entry, boxes: Mapping[int, Box], units: Sequence[str]) -> tuple[int, str]:
    """The character of a page before which an entry is inserted, and the text to insert.

    `boxes` are those of the characters that are shown, by their index in `units`.
    """
    field = entry.box
    level = {
        index: box
        for index, box in boxes.items()
        if field.bottom <= (box.bottom + box.top) / 2 <= field.top
    }
    left = [(box.right, index) for index, box in level.items() if box.right <= field.left + _NEAR]
    if left:
        return max(left)[1] + 1, f" {entry.text}"
    right = [(box.left, index) for index, box in level.items() if box.left >= field.right - _NEAR]
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


class Form:
    """The form of a document (None if it has none), on one page."""

    def __init__(self, form: Any, page: Any) -> None:
        self._form = form
        self._page = page

    def entries(self) -> list[Entry]:
        """The entries on the page, in the order of the file."""
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

    def _entry(self, annotation: Any) -> Entry | None:
        """The entry that an annotation shows; None if it shows no text."""
        kind = pdfium.FPDFAnnot_GetSubtype(annotation)
        rect = pdfium.FS_RECTF()
        if pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
            return None
        if not pdfium.FPDFAnnot_GetRect(annotation, rect):
            return None
        box = Box(
            min(rect.left, rect.right),
            min(rect.bottom, rect.top),
            max(rect.left, rect.right),
            max(rect.bottom, rect.top),
        )
        if kind == pdfium.FPDF_ANNOT_FREETEXT:
            said = _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
            return Entry(box, said.replace("\r", "\n"), "")
        if kind != pdfium.FPDF_ANNOT_WIDGET or self._form is None:
            return None
        return self._field(annotation, box)

    def _field(self, annotation: Any, box: Box) -> Entry | None:
        form = self._form
        kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
        name = _string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation) or _string(
            pdfium.FPDFAnnot_GetFormFieldName, form, annotation
        )
        if kind in _CHECKS:
            checked = pdfium.FPDFAnnot_IsChecked(form, annotation)
            return Entry(box, "[x]" if checked else "[ ]", name)
        if kind in _CHOICES:
            chosen = self._chosen(annotation)
            if chosen:
                return Entry(box, ", ".join(chosen), name)
        elif kind != pdfium.FPDF_FORMFIELD_TEXTFIELD:
            return None
        if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD_FIELD:
            return None
        value = _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
        return Entry(box, value.replace("\r\n", "\n").replace("\r", "\n"), name)

    def _chosen(self, annotation: Any) -> list[str]:
        form = self._form
        count = min(max(0, pdfium.FPDFAnnot_GetOptionCount(form, annotation)), _OPTIONS_LIMIT)
        return [
            _string(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, option)
            for option in range(count)
            if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, option)
        ]


def _string(get: Any, *given: Any) -> str:
    """The text of a PDFium function that writes UTF-16 into a buffer; its length is asked first."""
    size = min(get(*given, None, 0), 2 * _VALUE_CHARACTERS)
    if size <= len(b"\0\0"):
        return ""
    buffer = ctypes.create_string_buffer(size)
    get(*given, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")
