"""What readers of documents leave out or get wrong: Quorum's beside others, on the same files.

`uv run --with docx2python --with mammoth --with pdfminer.six --with python-docx --with resiliparse
--with inscriptis --with charset-normalizer python -m bench.readers`

A reader that is not installed is left out. Each file is made here and holds one thing that people
send; a reader has it right when everything that is printed comes out in order and nothing else
does. How columns, marks and lines are written does not count.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from io import BytesIO
from time import process_time
from typing import Any, NamedTuple

from quorum.document.docx_text import docx_text
from quorum.document.encodings import text_in
from quorum.document.html_text import html_text
from quorum.document.pdf_text import pdf_text
from rich.console import Console
from rich.table import Table

from tests.documents import pdf
from tests.pdf_files import field, old_font, page_file, shown
from tests.word_files import item, numbering, paragraph, run, table, word_file


class Case(NamedTuple):
    """A file, the pattern its text has to match, and what may not stand in it."""

    kind: str
    file: Any
    wanted: str
    unwanted: str = "(?!)"


def _word() -> Iterator[Case]:
    box = f"<w:txbxContent>{paragraph('Fragile')}</w:txbxContent>"
    choice = f"<mc:Choice Requires='wps'><wps:txbx>{box}</wps:txbx></mc:Choice>"
    boxed = f"<w:p><w:r><mc:AlternateContent>{choice}</mc:AlternateContent></w:r></w:p>"
    reference = "<w:sectPr><w:{}Reference w:type='default' r:id='x'/></w:sectPr>"
    field_code = (
        "<w:p><w:r><w:fldChar w:fldCharType='begin'/></w:r><w:r><w:instrText>DATE</w:instrText>"
        "</w:r><w:r><w:fldChar w:fldCharType='separate'/></w:r>"
        f"{run('3 May')}<w:r><w:fldChar w:fldCharType='end'/></w:r></w:p>"
    )
    note = "<w:p>" + run("Cheap") + "<w:r><w:footnoteReference w:id='5'/></w:r></w:p>"
    notes = f"<w:footnote w:id='5'>{paragraph('until May')}</w:footnote>"
    changed = (
        f"<w:p>{run('now ')}<w:ins>{run('80')}</w:ins>"
        "<w:del><w:r><w:delText>100</w:delText></w:r></w:del></w:p>"
    )
    control = f"<w:sdt><w:sdtContent>{paragraph('chosen')}</w:sdtContent></w:sdt>"
    power = "<w:p>" + run("10") + run("6", "<w:vertAlign w:val='superscript'/>") + "</w:p>"
    rows = table(["Name", "", "Age"], ["Kim", "x", "40"])
    yield Case("paragraphs", word_file(paragraph("One") + paragraph("Two")), r"One\s+Two")
    yield Case("table: rows", word_file(rows), r"Kim\W+x\W+40")
    yield Case("table: an empty cell", word_file(rows), r"Name(\t\t|\s*\|\s*\|\s*)Age")
    yield Case("text box", word_file(boxed), r"^\s*Fragile\s*$")
    for kind in ("header", "footer"):
        body = paragraph("Body") + reference.format(kind)
        file = word_file(body, {"x": (kind, paragraph("Offer 17"))})
        yield Case(kind, file, "Offer 17")
    yield Case("footnote", word_file(note, {"f": ("footnotes", notes)}), r"(?s)Cheap.+until May")
    yield Case("field", word_file(field_code), "3 May", "DATE")
    simple = f"<w:p><w:fldSimple w:instr='AUTHOR'>{run('Lee')}</w:fldSimple></w:p>"
    yield Case("simple field", word_file(simple), "Lee", "AUTHOR")
    yield Case("tracked changes", word_file(changed), "now 80", "100")
    yield Case("content control", word_file(control), "chosen")
    hidden = f"<w:p>{run('seen')}{run('unseen', '<w:vanish/>')}</w:p>"
    yield Case("hidden text", word_file(hidden), "seen", "unseen")
    listed = word_file(item("Scope") + item("Fees"), {"n": numbering(("decimal", "Art. %1"))})
    yield Case("numbers of a list", listed, r"Art\. 1\W+Scope\s+Art\. 2\W+Fees")
    yield Case("exponent", word_file(power), r"10(⁶|\^6|<sup>6)")
    yield Case("Word Online's part", word_file(paragraph("Web"), main="document2.xml"), "Web")


_CMAPS = (
    ("KSCms-UHC-H", "Korea1", "cp949", "펲시 한 잔"),
    ("KSC-EUC-H", "Korea1", "euc_kr", "위원회"),
    ("90ms-RKSJ-H", "Japan1", "cp932", "委員会です"),
    ("EUC-H", "Japan1", "euc_jp", "委員会です"),
    ("GBK-EUC-H", "GB1", "gbk", "委员会"),
    ("ETen-B5-H", "CNS1", "big5", "委員會"),
    ("HKscs-B5-H", "CNS1", "big5hkscs", "唔係啲嘢"),
)


def _pdf() -> Iterator[Case]:
    tick = "/AS /On /AP << /N << /On 4 0 R /Off 4 0 R >> >>"
    yield Case("pages", pdf(["One", "둘 👍"]), r"(?s)One.*둘 👍")
    form = page_file(shown("Name:"), fields=[field("Tx", "(Mina)")])
    yield Case("text field", form, r"Name:\s+Mina")
    box = page_file(shown("Agree", x=100), fields=[field("Btn", "/On", tick, box="72 695 90 710")])
    yield Case("ticked box", box, r"(\[x\]|☒|☑).*Agree")
    for cmap, ordering, encoding, text in _CMAPS:
        content = f"BT /O 12 Tf 72 700 Td <{text.encode(encoding).hex()}> Tj ET"
        file = page_file(content, fonts={"O": old_font(cmap, ordering)})
        yield Case(cmap, file, f"^\\s*{text}\\s*$")
    rise = "BT /F 12 Tf 72 700 Td (10) Tj /F 7 Tf {} Ts (6) Tj /F 12 Tf 0 Ts ( m) Tj ET"
    yield Case("exponent", page_file(rise.format(5)), r"10(⁶|\^6) m")
    yield Case("subscript", page_file(rise.format(-3)), r"10(₆|_6) m")
    untold = "BT /O 12 Tf 72 700 Td <00240025002600270028> Tj ET"
    garbage = page_file(untold, fonts={"O": old_font("Identity-H", "Identity")})
    yield Case("font that tells nothing", garbage, r"^\s*$")


def _html() -> Iterator[Case]:
    yield Case("paragraphs", "<p>One<p>Two", r"One\s+Two")
    yield Case("hidden attribute", "<p>seen<span hidden>not</span>", "seen", "not")
    yield Case("display: none", "<p>seen<b style='display:none'>not</b>", "seen", "not")
    yield Case("scripts", "<p>seen<script>not()</script>", "seen", "not")
    cells = "<table><tr><td>a<td><td>c<tr><td rowspan=2>d<td>e<td>f<tr><td>g<td>h</table>"
    yield Case("table: rows", cells, r"d\W+e\W+f\s*\n\W*g\W+h")
    yield Case("table: an empty cell", cells, r"a(\t\t|\s*\|\s*\|\s*| {3,})c")
    yield Case("numbers of a list", "<ol start=4><li>x<li>y</ol>", r"4\W+x\s+5\W+y")
    yield Case("what opens", "<details><summary>More</summary>Opens</details>", r"More\s+Opens")
    yield Case("options", "<select><option>Red<option>Blue</select>", r"Red\s+Blue")
    yield Case("input", "Name <input value=Jo> ok", r"Name\s+Jo\s+ok")
    yield Case("exponent", "<p>10<sup>6</sup> m", r"10(⁶|\^6) m")
    yield Case("deep nesting", "<div>" * 400 + "deep", "deep")
    yield Case("hidden in the head", "<title>not</title><p>seen", "seen", "not")


_SENTENCES: Mapping[str, Sequence[str]] = {
    "cp949": (
        "안녕하세요", "다음 주에 만나요", "배송이 늦어서 환불을 원합니다.", "ㅋㅋㅋ 진짜 웃기네",
    ),
    "cp932": ("返金してください", "来週の会議は中止になりました。", "①㈱髙島屋へ行く"),
    "euc_jp": ("返金してください", "来週の会議は中止になりました。"),
    "gb18030": ("请退款。谢谢", "你好", "委员会星期一早上开会。谢谢大家。"),
    "big5": ("請退款。謝謝", "委員會星期一早上開會。謝謝大家的參與。"),
    "big5hkscs": ("我哋聽日去邊度食飯呀？唔該晒你哋。",),
    "cp1251": ("Верните деньги", "Комитет собрался в понедельник утром."),
    "koi8_r": ("Верните деньги, пожалуйста", "Комитет собрался в понедельник утром."),
    "cp1252": (
        "Le comité s’est réuni à l’école.", "Die Straße ist gesperrt.", "¿Cómo estás?",
        "É isso, não é?", "He said “no” – for €5.", "naïve résumé", "Vi ses på lørdag, skål!",
    ),
    "cp1250": ("Proszę o zwrot pieniędzy.", "Vrátte mi peniaze, prosím. Ďakujem."),
    "cp1253": ("Θέλω πίσω τα χρήματά μου", "Ευχαριστώ πολύ"),
    "cp1254": ("Param geri ödensin lütfen, teşekkürler", "Şimdi değil, öğleden sonra"),
    "cp1255": ("שלום, אני רוצה החזר", "תודה רבה לכולם"),
    "cp1256": ("مرحبا، أريد استرداد أموالي", "شكرا جزيلا لكم"),
    "cp874": ("สวัสดีครับ ขอเงินคืน",),
}  # fmt: skip


def _encoded() -> Iterator[Case]:
    for encoding, sentences in _SENTENCES.items():
        for text in sentences:
            yield Case(encoding, text.encode(encoding), f"^{re.escape(text)}$")


def _mammoth(data: bytes) -> str:
    return html_text(import_module("mammoth").convert_to_html(BytesIO(data)).value)


def _python_docx(data: bytes) -> str:
    document = import_module("docx").Document(BytesIO(data))
    said = []
    for block in document.iter_inner_content():
        if hasattr(block, "rows"):
            said += ["\t".join(cell.text for cell in row.cells) for row in block.rows]
        else:
            said.append(block.text)
    return "\n".join(said)


def _docx2python(data: bytes) -> str:
    with import_module("docx2python").docx2python(BytesIO(data)) as read:
        return str(read.text)


def _pypdf(data: bytes) -> str:
    reader = import_module("pypdf").PdfReader(BytesIO(data))
    return "\n\n".join(page.extract_text() for page in reader.pages)


def _pdfium_alone(data: bytes) -> str:
    document = import_module("pypdfium2").PdfDocument(data)
    return "\n\n".join(page.get_textpage().get_text_range() for page in document)


def _charset_normalizer(data: bytes) -> str:
    return str(import_module("charset_normalizer").from_bytes(data).best() or "")


def _chardet(data: bytes) -> str:
    return data.decode(import_module("chardet").detect(data)["encoding"])


def _chardetng(data: bytes) -> str:
    return data.decode(import_module("chardetng_py").detect(data))


def _pdfminer(data: bytes) -> str:
    return str(import_module("pdfminer.high_level").extract_text(BytesIO(data)))


def _resiliparse(page: str) -> str:
    extract = import_module("resiliparse.extract.html2text").extract_plain_text
    return str(extract(page, alt_texts=False, form_fields=True))


def _inscriptis(page: str) -> str:
    return str(import_module("inscriptis").get_text(page))


def _lexbor_alone(page: str) -> str:
    return str(import_module("selectolax.lexbor").LexborHTMLParser(page).text(separator="\n"))


def _quorum_pdf(data: bytes) -> str:
    return pdf_text(data, 10, 10_000)[0]


def _quorum_encodings(data: bytes) -> str:
    return text_in(data, None)


Reader = tuple[str, Callable[[Any], str]]
"""A package that has to be installed, and a function that reads a file with it."""
WORD_READERS: Mapping[str, Reader] = {
    "Quorum": ("quorum", docx_text),
    "mammoth": ("mammoth", _mammoth),
    "python-docx": ("docx", _python_docx),
    "docx2python": ("docx2python", _docx2python),
}
PDF_READERS: Mapping[str, Reader] = {
    "Quorum": ("quorum", _quorum_pdf),
    "PDFium alone": ("pypdfium2", _pdfium_alone),
    "pypdf": ("pypdf", _pypdf),
    "pdfminer.six": ("pdfminer", _pdfminer),
}
HTML_READERS: Mapping[str, Reader] = {
    "Quorum": ("quorum", html_text),
    "resiliparse": ("resiliparse", _resiliparse),
    "inscriptis": ("inscriptis", _inscriptis),
    "lexbor alone": ("selectolax", _lexbor_alone),
}
DETECTORS: Mapping[str, Reader] = {
    "Quorum": ("quorum", _quorum_encodings),
    "charset-normalizer": ("charset_normalizer", _charset_normalizer),
    "chardet": ("chardet", _chardet),
    "chardetng-py": ("chardetng_py", _chardetng),
}
KINDS: Mapping[str, tuple[Callable[[], Iterator[Case]], Mapping[str, Reader]]] = {
    "DOCX": (_word, WORD_READERS),
    "PDF": (_pdf, PDF_READERS),
    "HTML": (_html, HTML_READERS),
    "encodings": (_encoded, DETECTORS),
}
"""For each kind of file: its cases, and each reader with the package it needs."""


class Score(NamedTuple):
    """Cases that came out right, wrong, or without text, and the seconds they took."""

    right: int
    wrong: list[str]
    none: list[str]
    seconds: float


def score(cases: Sequence[Case], read: Callable[[Any], str]) -> Score:
    """Count how a reader did on the cases."""
    right = 0
    wrong: list[str] = []
    none: list[str] = []
    began = process_time()
    for case in cases:
        text = ""
        with suppress(Exception):  # a reader that fails has no text
            text = read(case.file)
        if re.search(case.wanted, text) and not re.search(case.unwanted, text):
            right += 1
        else:
            (wrong if text.strip() else none).append(case.kind)
    return Score(right, wrong, none, process_time() - began)


def main() -> None:
    """Print a table for each kind of file."""
    warnings.simplefilter("ignore")
    for kind, (make, readers) in KINDS.items():
        cases = list(make())
        shown_as = Table(title=f"{kind}: {len(cases)} files")
        for column in ("reader", "right", "wrong", "no text", "ms a file", "what is not right"):
            shown_as.add_column(column)
        for name, (package, read) in readers.items():
            if find_spec(package) is None:
                continue
            read(cases[0].file)  # its imports are not timed
            got = score(cases, read)
            each = f"{1000 * got.seconds / len(cases):.2f}"
            missed = ", ".join(dict.fromkeys(got.wrong + got.none))
            figures = (str(got.right), str(len(got.wrong)), str(len(got.none)), each)
            shown_as.add_row(name, *figures, missed)
        Console(width=160).print(shown_as)


if __name__ == "__main__":
    main()
