"""PDFs with forms, with fonts from before Unicode, with exponents; all are generated here."""

from collections.abc import Mapping, Sequence

from tests.documents import pdf_of, stream

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"


def page_file(
    content: str | bytes,
    *,
    fonts: Mapping[str, bytes] | None = None,
    fields: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> bytes:
    """A PDF of one page: Helvetica as /F and more `fonts`, `fields` of a form, `notes` on it."""
    fonts = {"F": HELVETICA, **(fonts or {})}
    annotations = [*fields, *notes]
    first = 5 + len(fonts)
    places = [f"{first + index} 0 R" for index in range(len(annotations))]
    named = " ".join(f"/{name} {5 + index} 0 R" for index, name in enumerate(fonts))
    form = f"/AcroForm << /Fields [{' '.join(places[: len(fields)])}] >>" if fields else ""
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {form} >>".encode(),
        b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        f" /Annots [{' '.join(places)}] /Resources << /Font << {named} >> >> >>".encode(),
        stream(content if isinstance(content, bytes) else content.encode("cp1252")),
        *fonts.values(),
        *(f"<< /Type /Annot {annotation} >>".encode() for annotation in annotations),
    ]
    return pdf_of(objects)


def shown(text: str, x: float = 72, y: float = 700, size: float = 12) -> str:
    """Text at a position on a page, in Helvetica."""
    return f"BT /F {size} Tf {x} {y} Td ({text}) Tj ET\n"


def field(
    kind: str, value: str, rest: str = "", *, box: str = "150 695 300 715", name: str = "name"
) -> str:
    """A field of a form: its type, its value as PDF writes it, its box."""
    return f"/Subtype /Widget /FT /{kind} /T ({name}) /V {value} /Rect [{box}] {rest}"


def in_hexadecimal(text: str) -> str:
    """Text of any characters as a PDF string."""
    return f"<feff{text.encode('utf-16-be').hex()}>"


def old_font(cmap: str, ordering: str) -> bytes:
    """A font whose characters only one of Adobe's maps identifies."""
    return (
        f"<< /Type /Font /Subtype /Type0 /BaseFont /Any /Encoding /{cmap} /DescendantFonts ["
        "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Any /DW 1000 /CIDSystemInfo "
        f"<< /Registry (Adobe) /Ordering ({ordering}) /Supplement 0 >> "
        "/FontDescriptor << /Type /FontDescriptor /FontName /Any /Flags 4 >> >>] >>"
    ).encode()
