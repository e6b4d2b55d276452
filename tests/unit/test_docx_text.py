"""Word documents: everything that is printed, in order, and nothing that is not."""

import pytest
from quorum.core.errors import DocumentUnreadable
from quorum.document.docx_package import UNPACKED_BYTES
from quorum.document.docx_text import docx_text

from tests.documents import docx
from tests.word_files import item, numbering, paragraph, run, table, word_file

COMPLEX_FIELD = (
    '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    "<w:r><w:instrText> DATE \\@ yyyy </w:instrText></w:r>"
    '<w:r><w:fldChar w:fldCharType="separate"/></w:r>'
    f'{run("3 March")}<w:r><w:fldChar w:fldCharType="end"/></w:r></w:p>'
)
RAISED = '<w:vertAlign w:val="superscript"/>'
LOWERED = '<w:vertAlign w:val="subscript"/>'
VISIBLE = '<w:vanish w:val="0"/>'
BOX = f"<w:txbxContent>{paragraph('Do not bend')}</w:txbxContent>"
MODERN_BOX = (
    "<w:p><w:r><w:t>Parcel</w:t></w:r><w:r><mc:AlternateContent><mc:Choice Requires='wps'>"
    f"<wps:txbx>{BOX}</wps:txbx></mc:Choice>%s</mc:AlternateContent></w:r></w:p>"
)
FALLBACK = f"<mc:Fallback><w:pict><v:textbox>{BOX}</v:textbox></w:pict></mc:Fallback>"
SPANS = (
    "<w:tbl>"
    "<w:tr><w:tc><w:tcPr><w:gridSpan w:val='2'/></w:tcPr>" + paragraph("Wide") + "</w:tc>"
    "<w:tc>" + paragraph("End") + "</w:tc></w:tr>"
    "<w:tr><w:tc><w:tcPr><w:vMerge w:val='restart'/></w:tcPr>" + paragraph("Tall") + "</w:tc>"
    "<w:tc>" + paragraph("b") + "</w:tc><w:tc>" + paragraph("c") + "</w:tc></w:tr>"
    "<w:tr><w:tc><w:tcPr><w:vMerge/></w:tcPr>" + paragraph("unseen") + "</w:tc>"
    "<w:tc>" + paragraph("e") + "</w:tc><w:tc>" + paragraph("f") + "</w:tc></w:tr>"
    "</w:tbl>"
)
DELETED_ROW = (
    "<w:tbl><w:tr><w:trPr><w:del/></w:trPr><w:tc>" + paragraph("gone") + "</w:tc></w:tr>"
    "<w:tr><w:tc>" + paragraph("x") + "</w:tc><w:tc>" + paragraph("y") + "</w:tc></w:tr></w:tbl>"
)
CHECKBOX = (
    "<w:p><w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:checkBox><w:checked{}/>"
    "</w:checkBox></w:ffData></w:fldChar></w:r>" + run(" I agree") + "</w:p>"
)
CHOICE = (
    "<w:p><w:r><w:fldChar w:fldCharType='begin'><w:ffData><w:ddList>{}<w:listEntry w:val='Red'/>"
    "<w:listEntry w:val='Blue'/></w:ddList></w:ffData></w:fldChar></w:r>"
    "<w:r><w:fldChar w:fldCharType='end'/></w:r></w:p>"
)
RUBY = (
    "<w:p><w:r><w:ruby><w:rubyPr/><w:rt><w:r><w:t>とうきょう</w:t></w:r></w:rt>"
    "<w:rubyBase><w:r><w:t>東京</w:t></w:r></w:rubyBase></w:ruby></w:r></w:p>"
)
POWER = (
    "<w:p><m:oMath><m:sSup><m:e><m:r><m:t>r</m:t></m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r>"
    "</m:sup></m:sSup></m:oMath></w:p>"
)
FRACTION = (
    "<w:p><m:oMath><m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num>"
    "<m:den><m:r><m:t>2</m:t></m:r></m:den></m:f></m:oMath></w:p>"
)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(
            table(["Item", "Price"], ["Tea", "3"]), "Item\tPrice\nTea\t3", id="a table's rows"
        ),
        pytest.param(
            table(["Name", "", "Age"], ["Kim", "", "40"]),
            "Name\t\tAge\nKim\t\t40",
            id="an empty cell keeps its column",
        ),
        pytest.param(
            table(["q", paragraph("one") + paragraph("two")]),
            "q\tone two",
            id="paragraphs of one cell share its line",
        ),
        pytest.param(SPANS, "Wide\t\tEnd\nTall\tb\tc\n\te\tf", id="cells that span"),
        pytest.param(DELETED_ROW, "x\ty", id="a row that was deleted"),
        pytest.param(table(["framed"]), "framed", id="a frame of one cell"),
        pytest.param(
            table([table(["in", "side"]) + paragraph(""), "beside"]),
            "in\tside\nbeside",
            id="a table inside a table",
        ),
        pytest.param(MODERN_BOX % "", "Parcel\n\nDo not bend", id="a text box of today"),
        pytest.param(MODERN_BOX % FALLBACK, "Parcel\n\nDo not bend", id="its older form only once"),
        pytest.param(
            f"<w:p><w:r><w:pict><v:textbox>{BOX}</v:textbox></w:pict></w:r></w:p>",
            "Do not bend",
            id="a text box of Word 2003",
        ),
        pytest.param(COMPLEX_FIELD, "3 March", id="a field shows its result, not its code"),
        pytest.param(
            f"<w:p><w:fldSimple w:instr='AUTHOR'>{run('Lee')}</w:fldSimple></w:p>",
            "Lee",
            id="a simple field",
        ),
        pytest.param(
            f"<w:p><w:hyperlink r:id='x'>{run('the terms')}</w:hyperlink></w:p>",
            "the terms",
            id="a link",
        ),
        pytest.param(
            f"<w:p>{run('now ')}<w:ins>{run('80')}</w:ins>"
            "<w:del><w:r><w:delText>100</w:delText></w:r></w:del></w:p>",
            "now 80",
            id="tracked changes as accepted",
        ),
        pytest.param(
            f"<w:p>{run('A')}<w:moveFrom>{run('B')}</w:moveFrom><w:moveTo>{run('C')}</w:moveTo></w:p>",
            "AC",
            id="what was moved stands where it went",
        ),
        pytest.param(
            f"<w:sdt><w:sdtPr/><w:sdtContent>{paragraph('chosen')}</w:sdtContent></w:sdt>",
            "chosen",
            id="a content control",
        ),
        pytest.param(
            f"<w:p>{run('seen')}{run(' unseen', '<w:vanish/>')}{run(' again', VISIBLE)}</w:p>",
            "seen again",
            id="hidden text",
        ),
        pytest.param(
            f"<w:p>{run('old', '<w:strike/>')}{run(' new')}</w:p>",
            "~~old~~ new",
            id="what is struck out is marked",
        ),
        pytest.param(
            f"<w:p>{run('10')}{run('6', RAISED)}{run(' H')}{run('2', LOWERED)}{run('O')}</w:p>",
            "10⁶ H₂O",
            id="exponents and subscripts",
        ),
        pytest.param(
            f"<w:p>{run('the 4')}{run('th', RAISED)}</w:p>",
            "the 4th",
            id="an ordinal is no exponent",
        ),
        pytest.param(POWER, "r²", id="a power of a formula"),
        pytest.param(FRACTION, "(a+b)/2", id="a fraction"),
        pytest.param(RUBY, "東京(とうきょう)", id="a reading above characters"),
        pytest.param(
            "<w:p><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t>"
            "<w:noBreakHyphen/><w:t>d</w:t></w:r></w:p>",
            "a\tb\nc-d",
            id="tabs, breaks and hyphens",
        ),
        pytest.param(
            "<w:p><w:r><w:sym w:font='Wingdings' w:char='F0FC'/></w:r>"
            "<w:r><w:sym w:font='Symbol' w:char='F061'/></w:r></w:p>",
            "✓α",
            id="characters of fonts of symbols",
        ),
        pytest.param(CHOICE.format("<w:result w:val='1'/>"), "Blue", id="a chosen entry"),
        pytest.param(CHOICE.format(""), "Red", id="the first entry of a list"),
        pytest.param(CHOICE.format("<w:result w:val='9'/>") + paragraph("x"), "x", id="no entry"),
        pytest.param(CHECKBOX.format(""), "☒ I agree", id="a ticked box"),
        pytest.param(CHECKBOX.format(" w:val='0'"), "☐ I agree", id="a box left empty"),
        pytest.param(
            f"<w:p>{run('first ')}{run('second ')}{run('third')}</w:p>",
            "first second third",
            id="blanks at the end of a run",
        ),
        pytest.param("<w:p><w:smartTag>" + run("Seoul") + "</w:smartTag></w:p>", "Seoul", id="tag"),
    ],
)
def test_what_is_printed_of_a_body_is_read(body: str, text: str) -> None:
    assert docx_text(word_file(body)) == text


@pytest.mark.parametrize(
    ("form", "pattern", "marks"),
    [
        ("decimal", "%1.", ["1.", "2.", "3."]),
        ("decimal", "Article %1", ["Article 1", "Article 2", "Article 3"]),
        ("lowerLetter", "%1)", ["a)", "b)", "c)"]),
        ("upperRoman", "%1.", ["I.", "II.", "III."]),
        ("ganada", "%1.", ["가.", "나.", "다."]),
        ("decimalEnclosedCircle", "%1", ["①", "②", "③"]),
        ("chineseCounting", "第%1条", ["第一条", "第二条", "第三条"]),
        ("bullet", "\uf0b7", ["-", "-", "-"]),
    ],
)
def test_items_keep_the_numbers_that_others_refer_to(
    form: str, pattern: str, marks: list[str]
) -> None:
    body = "".join(item(word) for word in ("Scope", "Fees", "Term"))
    text = docx_text(word_file(body, {"n": numbering((form, pattern))}))
    words = ("Scope", "Fees", "Term")
    assert text.split("\n") == [f"{mark} {word}" for mark, word in zip(marks, words, strict=True)]


def test_levels_count_on_their_own_and_show_those_above() -> None:
    levels = numbering(("decimal", "%1."), ("decimal", "%1.%2."))
    body = item("A") + item("B", 1) + item("C", 1) + item("D") + item("E", 1)
    text = docx_text(word_file(body, {"n": levels}))
    assert text == "1. A\n1.1. B\n1.2. C\n2. D\n2.1. E"


def test_a_list_that_begins_anew_and_one_that_goes_on() -> None:
    levels = numbering(("decimal", "%1."))
    body = item("a") + item("b") + paragraph("between") + item("c") + item("d", number=2)
    text = docx_text(word_file(body, {"n": levels}))
    assert text == "1. a\n2. b\n\nbetween\n\n3. c\n1. d"


def test_a_paragraph_is_numbered_by_its_style() -> None:
    styles = (
        '<w:style w:styleId="Base"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
        '<w:style w:styleId="Heading"><w:basedOn w:val="Base"/></w:style>'
    )
    body = paragraph("Purpose", "<w:pStyle w:val='Heading'/>")
    parts = {"n": numbering(("decimal", "§ %1")), "s": ("styles", styles)}
    assert docx_text(word_file(body, parts)) == "§ 1 Purpose"


SECTION = "<w:sectPr>{}</w:sectPr>"
HEADER = "<w:headerReference w:type='{}' r:id='{}'/>"
FOOTER = "<w:footerReference w:type='default' r:id='{}'/>"


def test_headers_stand_before_the_body_and_footers_behind_it_each_once() -> None:
    sections = SECTION.format(HEADER.format("default", "h") + FOOTER.format("f")) * 2
    parts = {"h": ("header", paragraph("Offer 17")), "f": ("footer", paragraph("Page"))}
    assert docx_text(word_file(paragraph("Dear all") + sections, parts)) == (
        "Offer 17\n\nDear all\n\nPage"
    )


@pytest.mark.parametrize(
    ("kind", "section", "settings", "printed"),
    [
        ("first", "", "", False),
        ("first", "<w:titlePg/>", "", True),
        ("even", "", "", False),
        ("even", "", "<w:evenAndOddHeaders/>", True),
    ],
)
def test_a_header_of_pages_that_there_are_not_is_left_out(
    kind: str, section: str, settings: str, *, printed: bool
) -> None:
    body = paragraph("Body") + SECTION.format(HEADER.format(kind, "h") + section)
    parts = {"h": ("header", paragraph("Only there")), "s": ("settings", settings)}
    assert ("Only there" in docx_text(word_file(body, parts))) is printed


def test_notes_stand_behind_the_body_under_the_numbers_they_have_in_it() -> None:
    body = (
        f"<w:p>{run('Cheap')}<w:r><w:footnoteReference w:id='5'/></w:r>{run(' and good')}"
        "<w:r><w:endnoteReference w:id='2'/></w:r></w:p>"
    )
    footnotes = (
        f"<w:footnote w:id='5'>{paragraph('Until May.')}</w:footnote>"
        f"<w:footnote w:id='9'>{paragraph('nobody refers to it')}</w:footnote>"
    )
    endnotes = f"<w:endnote w:id='2'>{paragraph('We think.')}</w:endnote>"
    parts = {"foot": ("footnotes", footnotes), "end": ("endnotes", endnotes)}
    assert docx_text(word_file(body, parts)) == (
        "Cheap[1] and good[2]\n\n[1] Until May.\n\n[2] We think."
    )


@pytest.mark.parametrize("main", ["document2.xml", "Document.XML", "main.part"])
def test_the_main_part_is_found_by_its_relationship_whatever_it_is_called(main: str) -> None:
    assert docx_text(word_file(paragraph("Online"), main=main)) == "Online"


def test_a_document_type_is_refused_unread() -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        docx_text(docx(["x"], head='<!DOCTYPE w [<!ENTITY e "e">]>'))
    assert (refused.value.code, refused.value.message) == (
        "broken",
        "the file's XML declares entities",
    )


def test_elements_without_end_are_refused() -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        docx_text(word_file("<w:sdt>" * 300 + "</w:sdt>" * 300))
    assert refused.value.code == "too_complex"


def test_parts_count_together_towards_what_a_file_may_unpack_to() -> None:
    half = paragraph(" " * (UNPACKED_BYTES // 2))
    body = paragraph("x") + SECTION.format(HEADER.format("default", "h"))
    parts = {"h": ("header", half), "s": ("styles", half), "n": ("numbering", half)}
    with pytest.raises(DocumentUnreadable) as refused:
        docx_text(word_file(body, parts))
    assert (refused.value.code, refused.value.limit) == ("too_complex", UNPACKED_BYTES)
