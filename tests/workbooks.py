"""The smallest possible workbooks (xlsx)."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any
from xml.sax.saxutils import escape
from zipfile import ZipFile

_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def workbook(sheets: Mapping[str, Sequence[Sequence[Any]]]) -> bytes:
    """A workbook of the given sheets, each a list of rows; numbers stay numbers."""
    numbers = range(1, len(sheets) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_MAIN}.worksheet+xml"/>'
        for n in numbers
    )
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{n}" r:id="r{n}"/>'
        for n, name in zip(numbers, sheets, strict=True)
    )
    related = "".join(
        f'<Relationship Id="r{n}" Type="{_OFFICE}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_TYPES}">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/xl/workbook.xml"'
        f' ContentType="{_MAIN}.sheet.main+xml"/>{overrides}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}"><Relationship Id="r1"'
        f' Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}">'
        f"<sheets>{listed}</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}">{related}'
        "</Relationships>",
    }
    for number, rows in zip(numbers, sheets.values(), strict=True):
        parts[f"xl/worksheets/sheet{number}.xml"] = _sheet(rows)
    written = BytesIO()
    with ZipFile(written, "w") as archive:
        for name, xml in parts.items():
            archive.writestr(name, xml)
    return written.getvalue()


def _sheet(rows: Sequence[Sequence[Any]]) -> str:
    written = "".join(
        f'<row r="{number}">'
        + "".join(_cell(f"{chr(65 + column)}{number}", cell) for column, cell in enumerate(cells))
        + "</row>"
        for number, cells in enumerate(rows, start=1)
    )
    return f'<worksheet xmlns="{_SHEET}"><sheetData>{written}</sheetData></worksheet>'


def _cell(name: str, cell: Any) -> str:
    if cell == "":
        return ""
    if isinstance(cell, int | float):
        return f'<c r="{name}"><v>{cell}</v></c>'
    return f'<c r="{name}" t="inlineStr"><is><t>{escape(str(cell))}</t></is></c>'
