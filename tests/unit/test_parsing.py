"""Text out of files: all of it, or a named reason why not."""

import subprocess
import sys
from errno import EMFILE
from io import BytesIO
from time import perf_counter
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from pypdf import PdfReader, PdfWriter
from quorum.core.errors import DocumentUnreadable
from quorum.document.parsing import MEBIBYTE, Limits, Parsed, text_of

from tests.documents import CONTENT_TYPES, RELATIONSHIPS, docx, pdf, pdf_bomb, pdf_of

TIGHT = Limits(seconds=3, memory=384 * MEBIBYTE)
KOREAN = "위원회는 월요일 아침에 모였다. "
MANY_SCRIPTS = "The 委員会は開かれた。 위원회 اجتمعت اللجنة 👨‍👩‍👧‍👦 🇰🇷 e\u0301 हिन्दी।"


def unreadable(data: bytes, limits: Limits = TIGHT, media_type: str | None = None) -> str:
    with pytest.raises(DocumentUnreadable) as raised:
        text_of(data, media_type, None, limits)
    assert raised.value.message
    return raised.value.code


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_unicode_text_comes_as_it_is(encoding: str) -> None:
    parsed = text_of(MANY_SCRIPTS.encode(encoding))
    assert parsed == Parsed(text=MANY_SCRIPTS, media_type="text/plain")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp949", KOREAN * 3),
        ("gb18030", "委员会星期一早上开会。谢谢大家。" * 3),
        ("cp932", "委員会は月曜日の朝に開かれました。ありがとう。"),
        ("utf-16-le", "A meeting on Monday.\nThank you."),
        ("utf-16-be", "위원회는 월요일에 모였습니다.\n감사합니다."),
        ("iso2022_kr", "위원회는 월요일에 모였습니다."),
        ("cp1251", "Комитет собрался в понедельник утром. Спасибо."),
        ("cp1252", "Le comité s'est réuni à l'école – très tôt. Déjà « ici »."),
    ],
)
def test_text_in_an_older_encoding_is_told_by_itself(encoding: str, text: str) -> None:
    assert text_of(text.encode(encoding)).text == text


def test_a_charset_that_is_named_is_believed_where_it_can_be_true() -> None:
    short = "委員会".encode("euc_jp")
    assert text_of(short, "text/plain; charset=EUC-JP").text == "委員会"
    page = '<html><meta charset="big5"><p>委員會</p>'.encode("big5")
    assert text_of(page).text == "委員會"


@pytest.mark.parametrize(
    ("media_type", "name", "found"),
    [
        ("text/markdown", None, "text/markdown"),
        (None, "README.md", "text/markdown"),
        ("application/pdf", "a.pdf", "text/plain"),
        (None, None, "text/plain"),
    ],
)
def test_what_text_is_called_decides_among_kinds_of_text_only(
    media_type: str | None, name: str | None, found: str
) -> None:
    parsed = text_of(b"# Heading\n\ntext", media_type, name)
    assert (parsed.media_type, parsed.text) == (found, "# Heading\n\ntext")


@pytest.mark.parametrize("media_type", ["text/plain", "image/png", None])
def test_a_file_is_what_its_bytes_say(media_type: str | None) -> None:
    assert text_of(pdf(["Page"]), media_type).media_type == "application/pdf"
    assert text_of(docx(["Word"]), media_type).media_type.endswith("wordprocessingml.document")
    assert text_of(b"<!DOCTYPE html><p>Web</p>", media_type).media_type == "text/html"


PAGE_ABOUT_PDF = "<!DOCTYPE html><title>t</title><p>A PDF starts with %PDF-1.7, {}</p>"
TEXT_ABOUT_PDF = "파일이 %PDF-1.4 로 시작하면 PDF 문서라고 합니다."


@pytest.mark.parametrize(
    ("data", "found", "text"),
    [
        (PAGE_ABOUT_PDF.format("always.").encode(), "text/html", "A PDF starts with %PDF-1.7, "),
        (PAGE_ABOUT_PDF.format("항상").encode("cp949"), "text/html", "A PDF starts with"),
        (TEXT_ABOUT_PDF.encode(), "text/plain", TEXT_ABOUT_PDF),
        (TEXT_ABOUT_PDF.encode("cp949"), "text/plain", TEXT_ABOUT_PDF),
        (b"%PDF-1.7 is how such files begin", "text/plain", "%PDF-1.7 is how"),
        (b"%PDF-1.7 1 0 obj said the log", "application/pdf", None),
        (b"PK is short for Phil Katz", "text/plain", "PK is short"),
        (b"\n\n" + pdf(["Late"]), "application/pdf", "Late"),
        (b"\xef\xbb\xbf" + pdf(["Marked"]), "application/pdf", "Marked"),
        (b"@PJL ENTER LANGUAGE=PDF\r\n" + pdf(["Printed"]), "application/pdf", "Printed"),
        (b"\xef\xbb\xbf<html><p>Marked", "text/html", "Marked"),
        (b"<!-- c --> <?xml version='1.0'?><html><p>XHTML", "text/html", "XHTML"),
    ],
)
def test_a_kind_is_told_by_more_than_one_mark(data: bytes, found: str, text: str | None) -> None:
    if text is None:
        assert unreadable(data) == "broken"
        return
    parsed = text_of(data)
    assert parsed.media_type == found
    assert text in parsed.text


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504


@pytest.mark.parametrize(
    ("data", "code", "says"),
    [
        (OLE + b"HWP Document File", "unsupported_type", "Hangul"),
        (b"HWP Document File V3.00 \x1a\1\2", "unsupported_type", "Hangul"),
        (OLE + "WordDocument".encode("utf-16-le"), "unsupported_type", "DOC"),
        (OLE + "Workbook".encode("utf-16-le"), "unsupported_type", "XLS"),
        (OLE + "PowerPoint Document".encode("utf-16-le"), "unsupported_type", "PPT"),
        (OLE + "EncryptedPackage".encode("utf-16-le"), "encrypted", "encrypted"),
        (OLE, "unsupported_type", "before 2007"),
    ],
)
def test_files_of_other_programs_are_refused_by_the_name_people_know(
    data: bytes, code: str, says: str
) -> None:
    with pytest.raises(DocumentUnreadable, match=says) as raised:
        text_of(data)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ("spreadsheetml.sheet", "Excel"),
        ("presentationml.presentation", "PowerPoint"),
        ("hwpml-package", "HWPX"),
    ],
)
def test_files_that_are_packed_like_a_docx_are_refused_by_name(part: str, says: str) -> None:
    packed = BytesIO()
    with ZipFile(packed, "w") as archive:
        types = CONTENT_TYPES.replace("wordprocessingml.document", part)
        archive.writestr("[Content_Types].xml", types.replace("/word/document.xml", "/x/x.xml"))
    with pytest.raises(DocumentUnreadable, match=says):
        text_of(packed.getvalue())


def test_a_reader_at_work_opens_no_file_and_no_connection() -> None:
    script = (
        "import socket; from quorum.document import parsers; parsers.seal()\n"
        "for attempt in (lambda: open('/etc/hostname'), socket.socket):\n"
        "    try: attempt()\n"
        "    except OSError as error: print(error.errno)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert ended.stdout.split() == [str(EMFILE)] * 2


def test_comments_before_the_text_take_no_time_in_proportion_to_their_ways() -> None:
    page = b"<!-- c -->" * 400 + b"text"
    assert text_of(page).media_type == "text/plain"
    assert text_of(page[:-4] + b"<html><p>web").text == "web"


def test_a_strange_charset_gives_text_or_a_name_for_it() -> None:
    half = rb"\ud800 h\xe9" + b"\xff"
    assert text_of(half, "text/plain; charset=unicode_escape").text.isprintable()
    assert text_of(b"caf\xe9 au lait, s'il vous pla\xeet", "text/plain; charset=undefined").text


def test_html_is_read_as_lines_a_reader_sees() -> None:
    page = f"""<html><head><title>no</title><style>no</style></head><body><script>no()</script>
      <h1>Head   line</h1>one <b>two</b>three<p>para<br>line<!-- no --></p>
      <ul><li>first</li><li>second</li></ul><table><tr><td>1</td><td>2</td></tr><tr><td>3</table>
      <pre>kept
  as is</pre>&lt;{MANY_SCRIPTS}&gt;</body>"""
    assert text_of(page.encode()).text == (
        "Head line\n\none twothree\n\npara\nline\n\n- first\n- second\n\n1\t2\n3\n\n"
        f"kept\n  as is\n\n<{MANY_SCRIPTS}>"
    )


def test_a_pdfs_pages_come_in_order_in_every_script() -> None:
    parsed = text_of(pdf(["First page", "둘째 쪽 👍", "第三"]))
    assert (parsed.text, parsed.pages) == ("First page\n\n둘째 쪽 👍\n\n第三", 3)


def test_a_word_document_keeps_tables_insertions_and_what_stands_in_controls() -> None:
    body = (
        "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc>"
        "<w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>"
        "<w:p><w:ins><w:r><w:t>inserted</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p>"
        "<w:sdt><w:sdtContent><w:p><w:r><w:t>controlled</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    )
    text = text_of(docx([MANY_SCRIPTS, "<second>"], body=body)).text
    assert text == f"{MANY_SCRIPTS}\n\n<second>\n\na\tb\n\ninserted\n\ncontrolled"


def encrypted(password: str) -> bytes:
    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf(["Secret"]))))
    writer.encrypt(user_password=password, owner_password="owner", algorithm="AES-128")
    written = BytesIO()
    writer.write(written)
    return written.getvalue()


def test_a_pdf_that_opens_without_a_password_is_read_and_another_one_refused() -> None:
    assert text_of(encrypted("")).text == "Secret"
    assert unreadable(encrypted("password")) == "encrypted"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (bytes(range(256)) * 10, "unsupported_type"),
        (b"PK\x03\x04 no archive", "broken"),
        (b"%PDF-1.7\nno document", "broken"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "unsupported_type"),
        (rb"{\rtf1 text}", "unsupported_type"),
        (b"<html><script>only</script>", "no_text"),
        (pdf([""]), "no_text"),
        (b"\xff\xfe\x00", "unsupported_type"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(data: bytes, code: str) -> None:
    assert unreadable(data) == code


@pytest.mark.parametrize(
    ("data", "limits", "code", "limit"),
    [
        (b"x" * 101, Limits(bytes=100), "too_large", 100),
        (b"x" * 101, Limits(characters=100), "too_long", 100),
        (pdf(["x" * 60] * 3), Limits(characters=100), "too_long", 100),
        (docx(["x" * 101]), Limits(characters=100), "too_long", 100),
        (pdf(["x"] * 3), Limits(pages=2), "too_many_pages", 2),
    ],
)
def test_a_file_over_a_limit_is_refused_and_the_limit_named(
    data: bytes, limits: Limits, code: str, limit: int
) -> None:
    with pytest.raises(DocumentUnreadable) as raised:
        text_of(data, limits=limits)
    assert (raised.value.code, raised.value.limit) == (code, limit)


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b" " * 60 * MEBIBYTE)
    assert len(packed.getvalue()) < MEBIBYTE
    assert unreadable(packed.getvalue()) == "too_complex"


def test_a_part_that_unpacks_to_far_too_much_is_refused_whatever_it_is_called() -> None:
    rels = RELATIONSHIPS.replace("word/document.xml", "word/document.bin")
    types = CONTENT_TYPES.replace("/word/document.xml", "/word/document.bin")
    packed = BytesIO()
    with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("_rels/.rels", rels)
        archive.writestr("word/document.bin", b"<w>" + b" " * 60 * MEBIBYTE)
    began = perf_counter()
    assert unreadable(packed.getvalue()) == "too_complex"
    assert perf_counter() - began < 5


def test_a_zip_that_lies_about_its_size_is_not_unpacked_further_than_it_says() -> None:
    honest = docx(["x" * 5_000_000])
    with ZipFile(BytesIO(honest)) as archive:
        size = archive.getinfo("word/document.xml").file_size
    lied = honest.replace(size.to_bytes(4, "little"), (300).to_bytes(4, "little"))
    assert lied != honest
    assert unreadable(lied) == "broken"


def test_billions_of_laughs_are_refused() -> None:
    entities = '<!ENTITY l0 "ha">' + "".join(
        f'<!ENTITY l{step} "{f"&l{step - 1};" * 10}">' for step in range(1, 11)
    )
    laughs = docx([], head=f"<!DOCTYPE d [{entities}]>", body="<w:p>&l10;</w:p>")
    assert unreadable(laughs) in {"broken", "too_complex"}
    alone = f"<?xml version='1.0'?><!DOCTYPE d [{entities}]><d>&l10;</d>"
    assert unreadable(alone.encode()) == "unsupported_type"


@pytest.mark.parametrize(
    "page",
    [b"<html>" + b"<b>x" * 500_000, b"<html>" + b"<p><b><i><u>x" * 750_000, b"<ul><li>" * 1_000],
)
def test_html_nested_without_end_is_refused(page: bytes) -> None:
    assert unreadable(page, media_type="text/html") in {"too_complex", "too_slow", "broken"}


def test_a_pdf_whose_streams_unpack_without_end_is_refused() -> None:
    bomb = pdf_bomb()
    assert len(bomb) < MEBIBYTE
    assert unreadable(bomb) in {"too_complex", "too_slow"}


def test_a_pdf_that_contains_itself_is_refused() -> None:
    tree = pdf_of(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Pages /Count 1 /Parent 2 0 R /Kids [2 0 R] >>",
        ]
    )
    assert unreadable(tree) in {"too_complex", "too_slow", "broken", "no_text"}


def test_a_reader_without_end_is_ended_by_its_time() -> None:
    page = b"<html>" + b"<div>" * 2_000_000
    assert unreadable(page, Limits(seconds=1)) == "too_slow"


def test_a_reader_that_wants_more_memory_than_it_may_have_is_refused_it() -> None:
    page = b"<html>" + b"<p>hello</p>" * 700_000
    assert unreadable(page, Limits(memory=192 * MEBIBYTE)) in {"too_complex", "broken"}


def test_a_reader_sees_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not for parsers")
    monkeypatch.setenv("PYTHONSTARTUP", "neither")
    assert text_of(b"<html>read all the same").text == "read all the same"
