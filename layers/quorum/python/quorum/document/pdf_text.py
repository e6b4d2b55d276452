"""The text of a PDF, with the entries of its forms in their places.

PDFium reads it: it knows the old character maps of Korean, Japanese and Chinese fonts, and reports
whether a font identifies a character. This module runs sealed (`parsers.seal`): without files,
sockets and child processes.
"""

import ctypes

import pypdfium2
import pypdfium2.raw as pdfium

from quorum.core.errors import DocumentUnreadable
from quorum.document.pdf_forms import Box, Form, place
from quorum.document.symbols import in_symbol_font, symbol
from quorum.document.text_writer import lowered, raised, tidy

_UNKNOWN_SHARE = 0.25
"""Share of characters not identified by their fonts above which a text is unreadable."""
_UNTOLD = "\ufffd"
_PRIVATE_USE = range(0xE000, 0xF900)
"""Code points whose meaning depends on the font."""
_PASSWORD_NEEDED, _PROTECTION_UNKNOWN = pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY
_HYPHEN = 0x02
"""Code that PDFium returns for a hyphen and the line's end after it."""
_NAME_BYTES = 128

# Superscripts and subscripts, as shares of the height of the character before them.
_SMALL = (0.4, 0.85)
"""Height of a script: less than a capital's following letters, which are not one."""
_RAISED = (0.12, 0.8)
"""Distance of a superscript's line above the text's."""
_LOWERED = (-0.5, -0.05)
"""Distance of a subscript's line below the text's, as a negative share."""
_SCRIPT_LIMIT = 20
"""Characters of one script at most."""
_SAME = 0.1
"""Points by which the heights of characters of one line may differ."""


def pdf_text(data: bytes, pages: int, characters: int) -> tuple[str, int]:
    """The text and the number of pages; reading stops when `characters` is exceeded.

    Raises `DocumentUnreadable`: encrypted, broken, too_many_pages, or no_text if the fonts do not
    identify their characters.
    """
    with _opened(data) as document:
        count = len(document)
        if count > pages:
            raise DocumentUnreadable(
                f"the file has {count} pages, more than {pages}", code="too_many_pages", limit=pages
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
                break  # too long, which the caller reports
    if untold > _UNKNOWN_SHARE * (told + untold):
        raise DocumentUnreadable(
            "the fonts in the file do not identify their characters: it can be viewed, or read by"
            " OCR, but has no text",
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
    """The characters of one page, in the file's order."""

    def __init__(self, document: pypdfium2.PdfDocument, number: int) -> None:
        self._page = document[number]
        form = document.formenv
        self._form = Form(form.raw if form is not None else None, self._page)
        self._text_page = self._page.get_textpage()
        self._text = self._text_page.raw
        self._count = max(0, pdfium.FPDFText_CountChars(self._text))
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self.told = 0
        self.untold = 0

    def close(self) -> None:
        """Free the page."""
        self._text_page.close()
        self._page.close()

    def text(self) -> str:
        """The page's text with its entries; counts characters that fonts identify and do not."""
        units = [self._unit(index) for index in range(self._count)]
        self._mend_lines(units)
        self._mark_scripts(units)
        for at, text in self._filled_in(units):
            units.insert(at, text)
        # Characters beyond the first plane arrive as two surrogates.
        return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _unit(self, index: int) -> str:
        code = pdfium.FPDFText_GetUnicode(self._text, index)
        if pdfium.FPDFText_HasUnicodeMapError(self._text, index) == 1:
            self.untold += 1
            return _UNTOLD
        if code == _HYPHEN and pdfium.FPDFText_IsHyphen(self._text, index) == 1:
            return "-\n"
        if code in _PRIVATE_USE:
            return self._of_its_font(index, code)
        self.told += 1
        return chr(code)

    def _of_its_font(self, index: int, code: int) -> str:
        """A character that only its font identifies: a bullet or an arrow of a known font."""
        name = ctypes.create_string_buffer(_NAME_BYTES)
        pdfium.FPDFText_GetFontInfo(self._text, index, name, _NAME_BYTES, None)
        font = in_symbol_font(name.value.decode("latin-1"))
        if font is None:
            self.untold += 1
            return _UNTOLD
        self.told += 1
        return symbol(font, code)

    def _box(self, index: int, *, loose: bool = False) -> Box:
        """The box of a character; a loose box is as high as the font."""
        if loose:
            rect = pdfium.FS_RECTF()
            pdfium.FPDFText_GetLooseCharBox(self._text, index, rect)
            return Box(rect.left, rect.bottom, rect.right, rect.top)
        sides = [ctypes.c_double() for _ in range(4)]
        pdfium.FPDFText_GetCharBox(self._text, index, *sides)
        left, right, bottom, top = (side.value for side in sides)
        return Box(left, bottom, right, top)

    # ---- lines, exponents and subscripts ---------------------------------------------------------

    def _mend_lines(self, units: list[str]) -> None:
        """Remove the line breaks that PDFium puts around raised characters: x² + 1."""
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
            if -0.3 * size <= step <= size and overlap >= 0.4 * min(here.height, there.height):
                units[index] = units[index + 1] = ""

    def _mark_scripts(self, units: list[str]) -> None:
        """Mark superscripts and subscripts: smaller characters above or below the line."""
        base, level = -1, 0.0
        at = 0
        while at < self._count:
            if units[at].isspace():
                base = -1
            elif units[at]:
                line = self._line(at)
                kind = self._script(base, at, line - level) if base >= 0 else ""
                if kind:
                    at = self._write_script(units, kind, base, at)
                    continue
                base, level = at, line
            at += 1

    def _script(self, base: int, at: int, shift: float) -> str:
        """The relation of a character to another: superscript ("sup"), subscript ("sub") or ""."""
        if abs(shift) < _SAME:
            return ""
        size = self._box(base, loose=True).height
        if size <= 0 or not _SMALL[0] <= self._box(at, loose=True).height / size <= _SMALL[1]:
            return ""
        if _RAISED[0] <= shift / size <= _RAISED[1]:
            return "sup"
        return "sub" if _LOWERED[0] <= shift / size <= _LOWERED[1] else ""

    def _write_script(self, units: list[str], kind: str, base: int, first: int) -> int:
        """Write the characters of one size and line from `first` on; returns their end."""
        line, size = self._line(first), self._box(first, loose=True).height
        last = first
        while last < self._count and units[last].strip() and last - first < _SCRIPT_LIMIT:
            differs = abs(self._line(last) - line) > _SAME
            if differs or abs(self._box(last, loose=True).height - size) > _SAME * size:
                break
            last += 1
        text = "".join(units[first:last])
        units[first] = raised(text, units[base]) if kind == "sup" else lowered(text)
        units[first + 1 : last] = [""] * (last - first - 1)
        return last

    def _line(self, index: int) -> float:
        """The height of a character's line, in points."""
        pdfium.FPDFText_GetCharOrigin(self._text, index, self._x, self._y)
        return self._y.value

    # ---- forms ---------------------------------------------------------------------------------

    def _filled_in(self, units: list[str]) -> list[tuple[int, str]]:
        """The entries and the characters before which they go, from the page's end."""
        entries = self._form.entries()
        if not entries:
            return []
        boxes = {index: self._box(index) for index in range(self._count) if units[index].strip()}
        placed = [(*place(entry, boxes, units), entry.box.left) for entry in entries]
        placed.sort(key=lambda each: (-each[0], -each[2]))
        return [(at, text) for at, text, _ in placed]
