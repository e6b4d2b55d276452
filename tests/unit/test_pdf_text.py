"""PDFs: what a reader sees on the page, forms filled in, and no word that nobody can see."""

import pytest
from quorum.core.errors import DocumentUnreadable
from quorum.document.pdf_text import pdf_text

from tests.documents import pdf
from tests.pdf_files import field, in_hexadecimal, old_font, page_file, shown

TICK = "/AS /{} /AP << /N << /On 4 0 R /Off 4 0 R >> >>"
COMBO, LIST, PASSWORD, HIDDEN = 1 << 17, 1 << 21, 1 << 13, 2
UNTOLD = "BT /O 12 Tf 72 400 Td <00240025002600270028> Tj ET\n"
UNTOLD_FONT = {"O": old_font("Identity-H", "Identity")}


def text_of_page(content: str, **more: object) -> str:
    return pdf_text(page_file(content, **more), 1, 10_000)[0]  # type: ignore[arg-type]  # as given


@pytest.mark.parametrize(
    ("content", "fields", "text"),
    [
        pytest.param(
            shown("Tenant:"), [field("Tx", "(Mina Park)")], "Tenant: Mina Park", id="a text field"
        ),
        pytest.param(
            shown("Tenant:"),
            [field("Tx", in_hexadecimal("박미나"))],
            "Tenant: 박미나",
            id="in Hangul",
        ),
        pytest.param(
            shown("From") + shown("To", y=650),
            [
                field("Tx", "(May)", name="a"),
                field("Tx", "(June)", name="b", box="150 645 300 665"),
            ],
            "From May\nTo June",
            id="each field behind its label",
        ),
        pytest.param(
            shown("Address", y=720),
            [field("Tx", "(Elm St)", box="72 695 300 715")],
            "Address\nElm St",
            id="below its label",
        ),
        pytest.param(
            shown("I agree", x=100),
            [field("Btn", "/On", TICK.format("On"), box="72 695 90 710")],
            "[x] I agree",
            id="a ticked box",
        ),
        pytest.param(
            shown("I agree", x=100),
            [field("Btn", "/Off", TICK.format("Off"), box="72 695 90 710")],
            "[ ] I agree",
            id="a box left empty",
        ),
        pytest.param(
            shown("Size:"),
            [field("Ch", "(Large)", f"/Ff {COMBO} /Opt [(Small) (Large)]")],
            "Size: Large",
            id="a choice",
        ),
        pytest.param(
            shown("Days:"),
            [field("Ch", "[(Mon) (Wed)]", f"/Ff {LIST} /Opt [(Mon) (Tue) (Wed)]")],
            "Days: Mon, Wed",
            id="several choices",
        ),
        pytest.param("", [field("Tx", "(42)", name="total")], "total: 42", id="without a label"),
        pytest.param(
            shown("PIN:"), [field("Tx", "(9999)", f"/Ff {PASSWORD}")], "PIN:", id="a password"
        ),
        pytest.param(
            shown("Note:"), [field("Tx", "(unseen)", f"/F {HIDDEN}")], "Note:", id="a hidden field"
        ),
        pytest.param(shown("Note:"), [field("Tx", "()")], "Note:", id="nothing filled in"),
    ],
)
def test_what_is_filled_into_a_form_stands_at_its_label(
    content: str, fields: list[str], text: str
) -> None:
    assert text_of_page(content, fields=fields) == text


def test_what_was_typed_on_top_of_a_page_is_read_and_a_note_that_is_folded_is_not() -> None:
    notes = [
        "/Subtype /FreeText /Contents (Approved) /DA (/F 10 Tf) /Rect [100 600 300 650]",
        "/Subtype /Text /Contents (folded) /Rect [100 500 120 520]",
    ]
    assert text_of_page(shown("Plan"), notes=notes) == "Plan\nApproved"


@pytest.mark.parametrize(
    ("ordering", "cmap", "encoding", "text"),
    [
        ("Korea1", "KSC-EUC-H", "euc_kr", "위원회"),
        ("Korea1", "KSCms-UHC-H", "cp949", "펲시 한 잔"),
        ("Korea1", "KSCms-UHC-HW-H", "cp949", "위원회"),
        ("Korea1", "KSCpc-EUC-H", "euc_kr", "위원회"),
        ("Korea1", "UniKS-UCS2-H", "utf-16-be", "위원회"),
        ("Korea1", "UniKS-UTF16-H", "utf-16-be", "위원회"),
        ("Japan1", "90ms-RKSJ-H", "cp932", "委員会です"),
        ("Japan1", "90pv-RKSJ-H", "cp932", "委員会です"),
        ("Japan1", "EUC-H", "euc_jp", "委員会です"),
        ("Japan1", "UniJIS-UCS2-H", "utf-16-be", "委員会です"),
        ("Japan1", "UniJIS-UTF16-H", "utf-16-be", "委員会です"),
        ("GB1", "GB-EUC-H", "gb2312", "委员会"),
        ("GB1", "GBK-EUC-H", "gbk", "委員会镕"),
        ("GB1", "GBK2K-H", "gb18030", "委员会"),
        ("GB1", "UniGB-UCS2-H", "utf-16-be", "委员会"),
        ("CNS1", "B5pc-H", "big5", "委員會"),
        ("CNS1", "ETen-B5-H", "big5", "委員會"),
        ("CNS1", "ETenms-B5-H", "big5", "委員會"),
        ("CNS1", "HKscs-B5-H", "big5hkscs", "唔係啲嘢"),
        ("CNS1", "UniCNS-UTF16-H", "utf-16-be", "委員會"),
    ],
)
def test_fonts_of_before_unicode_are_read_by_their_character_maps(
    ordering: str, cmap: str, encoding: str, text: str
) -> None:
    content = f"BT /O 12 Tf 72 700 Td <{text.encode(encoding).hex()}> Tj ET"
    assert text_of_page(content, fonts={"O": old_font(cmap, ordering)}) == text


RISE = "BT /F 12 Tf 72 700 Td ({}) Tj /F 7 Tf {} Ts ({}) Tj /F 12 Tf 0 Ts ({}) Tj ET"


@pytest.mark.parametrize(
    ("before", "rise", "script", "behind", "text"),
    [
        ("10", 5, "-6", " m", "10⁻⁶ m"),
        ("x", 5, "2", " + 1", "x² + 1"),
        ("2", 5, "k", " steps", "2^k steps"),
        ("e", 5, "ab", "", "e^ab"),
        ("H", -3, "2", "O", "H₂O"),
        ("v", -3, "max", " is", "v_max is"),
        ("the 4", 5, "th", " of May", "the 4th of May"),
        ("small", 0, "er", " print", "smaller print"),
    ],
)
def test_exponents_and_subscripts_are_told_from_digits_of_the_line(
    before: str, rise: int, script: str, behind: str, text: str
) -> None:
    assert text_of_page(RISE.format(before, rise, script, behind)) == text


def test_an_initial_is_no_base_of_what_stands_behind_it() -> None:
    initial = shown("O", size=36, y=676) + shown("nce there was", x=101)
    assert "Once there was" in text_of_page(initial).replace("\n", "")


def test_fonts_that_do_not_say_what_they_show_are_no_text() -> None:
    with pytest.raises(DocumentUnreadable, match="fonts in the file do not identify") as refused:
        text_of_page(UNTOLD, fonts=UNTOLD_FONT)
    assert refused.value.code == "no_text"


def test_a_few_characters_that_no_font_tells_are_marked_among_the_others() -> None:
    text = text_of_page(shown("A logo stands below all of this text") + UNTOLD, fonts=UNTOLD_FONT)
    assert text == "A logo stands below all of this text\n" + "\ufffd" * 5


def symbols(name: str) -> bytes:
    """Text in a font that says its characters are those of its own alone."""
    return pdf(["\uf0b7 one \uf0fc two"]).replace(b"/BaseFont /Any", f"/BaseFont /{name}".encode())


def test_bullets_of_fonts_of_symbols_are_characters_and_those_of_others_are_not() -> None:
    assert pdf_text(symbols("Wingdings-Regular"), 1, 99)[0] == "• one ✓ two"
    assert pdf_text(symbols("ABCDEF+House"), 1, 99)[0] == "\ufffd one \ufffd two"


def test_characters_beyond_the_first_plane_come_whole() -> None:
    assert pdf_text(pdf(["𠮷野家 👍"]), 1, 99) == ("𠮷野家 👍", 1)


def test_reading_ends_where_a_file_is_longer_than_asked_for() -> None:
    text, pages = pdf_text(pdf(["x" * 60] * 50), 50, 100)
    assert pages == 50
    assert 100 < len(text) < 200
