"""Files as people send them, and hostile ones; all are generated here."""

import zlib
from collections.abc import Sequence
from html import escape
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

_NAMESPACE = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
RELATIONSHIPS = (
    '<?xml version="1.0"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Target="word/document.xml" Type='
    '"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"/>'
    "</Relationships>"
)


def docx(paragraphs: Sequence[str], *, body: str = "", head: str = "") -> bytes:
    """A Word document; `body` is additional XML in it, `head` precedes the whole."""
    written = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    document = (
        f'<?xml version="1.0" encoding="UTF-8"?>{head}'
        f'<w:document xmlns:w="{_NAMESPACE}"><w:body>{written}{body}</w:body></w:document>'
    )
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", RELATIONSHIPS)
        archive.writestr("word/document.xml", document)
    return packed.getvalue()


def pdf(pages: Sequence[str]) -> bytes:
    """A PDF of the given pages, in a font with all of their characters."""
    characters = sorted(set("".join(pages)) - {"\n"})
    codes = {character: code for code, character in enumerate(characters, 1)}
    mapping = "\n".join(
        f"<{code:04x}> <{character.encode('utf-16-be').hex()}>" for character, code in codes.items()
    )
    to_unicode = (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap\n"
        "1 begincodespacerange <0000> <ffff> endcodespacerange\n"
        f"{len(codes)} beginbfchar\n{mapping}\nendbfchar\nendcmap end end"
    )
    streams = [_page_stream(page, codes) for page in pages]
    kids = " ".join(f"{6 + 2 * index} 0 R" for index in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        (
            b"<< /Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /Identity-H"
            b" /DescendantFonts [4 0 R] /ToUnicode 5 0 R >>"
        ),
        (
            b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Any /DW 1000"
            b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> >>"
        ),
        stream(to_unicode.encode()),
    ]
    for index, content in enumerate(streams):
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {7 + 2 * index} 0 R"
            " /Resources << /Font << /F 3 0 R >> >> >>".encode(),
            stream(content),
        ]
    return pdf_of(objects)


def _page_stream(page: str, codes: dict[str, int]) -> bytes:
    lines = ("".join(f"{codes[character]:04x}" for character in line) for line in page.split("\n"))
    shown = "\n".join(f"<{line}> Tj 0 -14 Td" for line in lines)
    return f"BT /F 10 Tf 36 750 Td\n{shown}\nET".encode()


def stream(content: bytes, *, times: int = 1) -> bytes:
    """A PDF stream, compressed `times` times."""
    for _ in range(times):
        content = zlib.compress(content, 9)
    filters = "/FlateDecode " * times
    head = f"<< /Length {len(content)} /Filter [{filters}] >>\nstream\n"
    return head.encode() + content + b"\nendstream"


def pdf_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of the given objects, of which the first is its catalogue."""
    written = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(written)
    written += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        written += b"%010d 00000 n \n" % offset
    written += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        start,
    )
    return bytes(written)


def pdf_bomb() -> bytes:
    """A PDF of under a megabyte whose only page is eight gigabytes long."""
    return pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            (
                b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents ["
                + b"4 0 R " * 100
                + b"] /Resources << /Font << >> >> >>"
            ),
            stream(b"(x) Tj " * 12_000_000, times=2),
        ]
    )
