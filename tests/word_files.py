"""Word documents in the forms that people send; all are generated here."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATED = "http://schemas.openxmlformats.org/package/2006/relationships"
_WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
_NAMESPACES = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    f'xmlns:r="{_OFFICE}" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml"'
)


def word_file(
    body: str, parts: Mapping[str, tuple[str, str]] | None = None, *, main: str = "document.xml"
) -> bytes:
    """A DOCX whose main part is `main`; `parts` are the kind and XML of the other parts, by id."""
    parts = parts or {}
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{_TYPES}"><Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/word/{main}" ContentType="{_WORD}.document.main+xml"/></Types>',
        )
        archive.writestr("_rels/.rels", _relationships({"r": ("officeDocument", f"word/{main}")}))
        targets = {name: (kind, f"{name}.xml") for name, (kind, _) in parts.items()}
        archive.writestr(f"word/_rels/{main}.rels", _relationships(targets))
        archive.writestr(
            f"word/{main}", f"<w:document {_NAMESPACES}><w:body>{body}</w:body></w:document>"
        )
        for name, (kind, xml) in parts.items():
            archive.writestr(f"word/{name}.xml", f"<w:{kind} {_NAMESPACES}>{xml}</w:{kind}>")
    return packed.getvalue()


def _relationships(targets: Mapping[str, tuple[str, str]]) -> str:
    each = "".join(
        f'<Relationship Id="{name}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{_RELATED}">{each}</Relationships>'


def paragraph(text: str, properties: str = "") -> str:
    """A paragraph of one run; its properties as XML."""
    return f"<w:p><w:pPr>{properties}</w:pPr>{run(text)}</w:p>"


def run(text: str, properties: str = "") -> str:
    """A run of text; its properties as XML."""
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def item(text: str, level: int = 0, number: int = 1) -> str:
    """An item of a list."""
    return paragraph(
        text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>'
    )


def table(*rows: Sequence[str]) -> str:
    """A table whose cells are paragraphs, or XML of their own."""
    cells = (
        "".join(f"<w:tc>{cell if cell.startswith('<') else paragraph(cell)}</w:tc>" for cell in row)
        for row in rows
    )
    return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"


def numbering(*levels: tuple[str, str]) -> tuple[str, str]:
    """The part with the numbering of lists 1 and 2: the format and text of each level."""
    described = "".join(
        f'<w:lvl w:ilvl="{level}"><w:start w:val="1"/><w:numFmt w:val="{form}"/>'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for level, (form, text) in enumerate(levels)
    )
    return "numbering", (
        f'<w:abstractNum w:abstractNumId="0">{described}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num>'
        '<w:num w:numId="2"><w:abstractNumId w:val="0"/><w:lvlOverride w:ilvl="0">'
        '<w:startOverride w:val="1"/></w:lvlOverride></w:num>'
    )
