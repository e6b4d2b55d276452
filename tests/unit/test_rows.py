"""Rows are read as they were meant, or rejected one by one; other files are refused."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.spreadsheets import harmless, meant

from analysis import rows
from analysis.rows import FileUnreadable
from tests.workbooks import workbook

WANTED = ("content", "text")
Found = list[tuple[int, dict[str, Any]]]
TWO = [(2, {"id": "a1", "content": "Good evening"}), (3, {"id": "a2", "content": "Du Idiot"})]


def read(data: bytes, kind: str | None, encoding: str | None = None) -> list[rows.Row]:
    return list(rows.rows_of(io.BytesIO(data), kind, WANTED, encoding=encoding))


def good(found: list[rows.Row]) -> Found:
    return [(row.line, row.fields) for row in found if row.problem is None]


def bad(found: list[rows.Row]) -> list[int]:
    return [row.line for row in found if row.problem is not None]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("csv", "id,content\na1,Good evening\na2,Du Idiot\n"),
        ("csv", "\ufeffid,content\r\na1,Good evening\r\na2,Du Idiot\r\n"),
        ("csv", "id;content\na1;Good evening\na2;Du Idiot\n"),
        ("csv", "id\tcontent\na1\tGood evening\na2\tDu Idiot\n"),
        ("csv", "id|content\na1|Good evening\na2|Du Idiot"),
        ("csv", '"id","content"\n"a1","Good evening"\n"a2","Du Idiot"\n'),
        ("csv", " id , content \na1,Good evening\na2,Du Idiot\n"),
        ("csv", "id,content,\na1,Good evening,\na2,Du Idiot,\n"),
        ("tsv", "id\tcontent\na1\tGood evening\na2\tDu Idiot\n"),
        (None, "id,content\na1,Good evening\na2,Du Idiot\n"),
        (None, "id;content\na1;Good evening\na2;Du Idiot\n"),
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-16-le", "utf-32"])
def test_a_table_of_any_dialect_and_unicode_encoding_has_the_same_rows(
    kind: str | None, text: str, codec: str
) -> None:
    if codec == "utf-16-le":
        text = text.lstrip("\ufeff")  # without any mark
    assert good(read(text.encode(codec), kind)) == TWO


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp949", "오늘은 날씨가 참 좋네요"),
        ("cp949", "너 정말 바보구나"),
        ("cp932", "お前は本当に馬鹿だなあ、もう来ないでください"),
        ("gb18030", "你真是个傻瓜，别再来了"),
        ("big5", "你真是個傻瓜，別再來了"),
        ("cp1252", "Größe ändern, señor – schönes Café"),
        ("cp1251", "Привет, как дела сегодня?"),
    ],
)
def test_a_table_in_the_encoding_of_its_country_is_read_or_refused_never_read_as_another(
    codec: str, text: str
) -> None:
    data = f'id,content\n1,"{text}"\n2,plain\n'.encode(codec)
    try:
        found = good(read(data, "csv"))
    except FileUnreadable:
        found = good(read(data, "csv", encoding=codec))
    assert found == [(2, {"id": "1", "content": text}), (3, {"id": "2", "content": "plain"})]


@pytest.mark.parametrize("text", ["오늘은 날씨가 참 좋네요", "너 정말 바보구나", "안녕"])
def test_korean_excel_needs_no_option(text: str) -> None:
    assert good(read(f"id,content\n1,{text}\n".encode("cp949"), "csv"))[0][1]["content"] == text


@pytest.mark.parametrize(
    ("text", "expected", "rejected"),
    [
        ('id,content\n1,"open\n2,second\n3,third\n', [(3, "second"), (4, "third")], [2]),
        ('id,content\n1,"open\n2,second\n3,"third"\n', [(3, "second"), (4, "third")], [2]),
        ('id,content\n1,first\n2,"open', [(2, "first")], [3]),
        ('id,content\n1,"said ""no"""\n', [(2, 'said "no"')], []),
        ('id,content\n1,"said \\"no\\", twice"\n2,b\n', [(2, 'said "no", twice'), (3, "b")], []),
        ('id,content\n1,"ends with \\""\n2,b\n', [(2, 'ends with "'), (3, "b")], []),
        ('id,content\n1,a 5" disk\n', [(2, 'a 5" disk')], []),
        ('id,content\n1,"two\nlines"\n2,b\n', [(2, "two\nlines"), (4, "b")], []),
        ("id,content\n1,Well, you fool\n", [(2, "Well, you fool")], []),
        ("content,id\nWell, you fool,1\nb,2\n", [(3, "b")], [2]),
        ("id,content\n1,a,,\n2,b,\n", [(2, "a"), (3, "b")], []),
        ("id,content\n1\n2,b\n", [(2, None), (3, "b")], []),
        ("id,content\n\n1,a\n\n\n2,b\n", [(3, "a"), (6, "b")], []),
        ("id,content\r1,a\r2,b\r", [(2, "a"), (3, "b")], []),
        ("id,content,language\n1,a,\n2,b,en\n", [(2, "a"), (3, "b")], []),
        ("sep=;\nid;content\n1;a\n", [(3, "a")], []),
        ('"id", "content"\n1, "a, b"\n2, c\n', [(2, "a, b"), (3, "c")], []),
        ("id,\u200bcontent\n1,a\n", [(2, "a")], []),
        (f"id,content\n1,{'x' * 1_000_001}\n2,b\n", [(3, "b")], [2]),
        ("id,content\n1,nul \x00 here\n2,\ufffe\n", [(2, "nul \x00 here"), (3, "\ufffe")], []),
    ],
)
def test_a_broken_row_of_a_table_harms_no_other(
    text: str, expected: Any, rejected: list[int]
) -> None:
    found = read(text.encode(), "csv")
    assert [(line, fields.get("content")) for line, fields in good(found)] == expected
    assert bad(found) == rejected


def test_a_rejected_row_keeps_its_id() -> None:
    (first, _) = read(b'id,content\n7,"open\n8,b\n', "csv")
    assert first.fields["id"] == "7"
    (shifted, _) = read(b"content,id\nWell, you fool,1\nb,2\n", "csv")
    assert shifted.fields == {}
    (before, _) = read(b"id,content,language\n1,Well, you fool,en\n2,b,en\n", "csv")
    assert before.fields == {"id": "1"}
    (nan,) = read(b'{"id": "x", "content": "a", "metadata": {"n": NaN}}', "jsonl")
    assert nan.fields == {"id": "x"}
    assert nan.problem is not None
    assert "NaN" in nan.problem


def test_one_line_in_another_encoding_is_rejected_alone() -> None:
    lines = [f"{number},größer als {number}".encode() for number in range(5)]
    lines[3] = "3,größer".encode("cp1252")
    found = read(b"id,content\n" + b"\n".join(lines), "csv")
    assert bad(found) == [5]
    assert len(good(found)) == 4
    assert found[3].fields == {"id": "3"}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("id,comment\n1,a\n", "no column is called content or text"),
        ("1,hello\n2,there\n", "no column is called content or text"),
        ("", "no column is called content or text"),
        ("content,content\na,b\n", "two columns are called content"),
        ("id,content,Content\n1,a,b\n", "two columns are called content"),
        (b"PK\x03\x04" + bytes(40), "workbook"),
        (b"%PDF-1.7\n", "quorum documents"),
        (b"\x1f\x8b" + bytes(40), "unpack"),
        (bytes(range(256)) * 4, "neither text nor a workbook"),
        ("id,content\n" + "1,\xe9\n" * 40, "not certain"),
    ],
)
def test_what_is_no_table_is_refused_as_a_whole(data: str | bytes, says: str) -> None:
    sent = data if isinstance(data, bytes) else data.encode("latin-1")
    with pytest.raises(FileUnreadable, match=says):
        read(sent, "csv")


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ('{"content": "a", "id": "x"}', {"content": "a", "id": "x"}),
        ('\ufeff{"content": "a"}', {"content": "a"}),
        ('{"content": "a", "id": null, "language": ""}', {"content": "a"}),
        ('"only a text"', {"content": "only a text"}),
        ('{"content": "a \\u2028 b"}', {"content": "a \u2028 b"}),
        ('{"content": "a \u2028 b"}', {"content": "a \u2028 b"}),
    ],
)
def test_json_lines_are_items(line: str, fields: dict[str, Any]) -> None:
    found = read(f"{line}\n\n{line.lstrip(chr(0xFEFF))}\r\n".encode(), "jsonl")
    assert good(found) == [(1, fields), (3, fields)]


@pytest.mark.parametrize(
    "line",
    ["not json", '{"content": "a"', "[1]", "7", "{}", '{"a": NaN}', '{"a": -Infinity}',
     '{"a": 1e999}', "[" * 100_000, '{"content": "a", "content": "b"}', '{"a": [{"b": NaN}]}',
     '{"content": ' + "9" * 5_000 + "}"],
)  # fmt: skip
def test_a_line_that_is_no_item_is_rejected_alone(line: str) -> None:
    found = read(f'{{"content": "a"}}\n{line}\n{{"content": "b"}}\n'.encode(), "jsonl")
    assert bad(found) == [2]
    assert [row.line for row in found] == [1, 2, 3]


def test_one_bad_item_of_an_array_is_rejected_alone() -> None:
    items = '[{"id": "a", "content": "x"}, {"id": "b", "content": NaN}, 7, {"content": "y"}]'
    found = read(items.encode(), "json")
    assert bad(found) == [2, 3]
    assert found[1].fields == {"id": "b"}
    assert [fields["content"] for _, fields in good(found)] == ["x", "y"]


@pytest.mark.parametrize("kind", ["json", "jsonl", None])
@pytest.mark.parametrize(
    "text",
    [
        '[{"id": "a1", "content": "Good evening"}, {"id": "a2", "content": "Du Idiot"}]',
        '[\n {\n"id":"a1","content": "Good evening"\n},\n{"id": "a2", "content": "Du Idiot"}\n]',
    ],
)
def test_an_array_of_json_is_its_items(kind: str | None, text: str) -> None:
    assert good(read(text.encode(), kind)) == [(1, TWO[0][1]), (2, TWO[1][1])]


@pytest.mark.parametrize(
    "text",
    [
        '{"comments": [{"content": "a"}, {"content": "b"}], "next": null}',
        '{"content": "a"}\n{"content": "b"}\n',
        '["a", "b"]',
    ],
)
def test_json_of_other_forms_is_read_where_it_is_clear(text: str) -> None:
    assert [fields for _, fields in good(read(text.encode(), "json"))] == [
        {"content": "a"},
        {"content": "b"},
    ]


@pytest.mark.parametrize("text", ['[{"content": "a"}', "hello", "7", ""])
def test_json_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(FileUnreadable, match="JSON"):
        read(text.encode(), "json")


def test_lines_that_end_in_the_commas_of_an_array_are_items() -> None:
    found = read(b'{"id": "a", "content": "x"},\n{"id": "b", "content": "y"}\n', "jsonl")
    assert [fields["id"] for _, fields in good(found)] == ["a", "b"]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_may_begin_with_a_letter_of_any_script(codec: str) -> None:
    found = read("번호,content\n일,안녕하세요\n".encode(codec), "csv")
    assert good(found) == [(2, {"번호": "일", "content": "안녕하세요"})]


@pytest.mark.parametrize(
    ("text", "kind", "count"),
    [
        ("one\ntwo\n\nthree", "txt", 3),
        ("content\na\n", "csv", 1),
        ('{"content": "a"}\n', "jsonl", 1),
        ("a text, as people write it\nmore\n", "txt", 2),
        ("[sic] he said\n", "txt", 1),
        ("a,content,b\n1,2,3\n", "csv", 1),
    ],
)
def test_the_kind_of_what_has_no_name_is_told_by_its_first_line(
    text: str, kind: str, count: int
) -> None:
    found = rows.rows_of(io.BytesIO(text.encode()), None, WANTED)
    assert (found.kind, len(list(found))) == (kind, count)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.csv", "csv"), ("a.CSV", "csv"), ("a.tsv", "tsv"), ("a.ndjson", "jsonl"),
        ("a.jsonl", "jsonl"), ("a.jsonl.txt", "jsonl"), ("a.csv.txt", "csv"), ("a.b.txt", "txt"),
        ("a.json", "json"), ("a.xlsx", "xlsx"), ("v1.2.csv", "csv"),
    ],
)  # fmt: skip
def test_a_name_tells_the_kind(name: str, kind: str) -> None:
    assert rows.kind_of(name) == kind


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.parquet", "a", "a.csv.gz", "a.md"])
def test_a_file_of_an_unknown_kind_is_refused(name: str) -> None:
    with pytest.raises(FileUnreadable, match="are not read"):
        rows.kind_of(name)


def test_rows_without_end_of_a_quote_do_not_take_for_ever() -> None:
    data = "id,content\n" + '1,"open\n' * 3_000
    with pytest.raises(FileUnreadable, match="no CSV"):
        read(data.encode(), "csv")


# ---- workbooks -------------------------------------------------------------------------------


def test_a_workbook_is_read_from_the_sheet_with_the_contents() -> None:
    data = workbook(
        {
            "About": [["made by", "us"]],
            "Posts": [
                ["id", "content", "language"],
                [7, "Good evening", ""],
                ["", "", ""],
                ["a2", "Du Idiot", "de"],
            ],
        }
    )
    expected = [
        (2, {"id": "7", "content": "Good evening"}),
        (4, {"id": "a2", "content": "Du Idiot", "language": "de"}),
    ]
    assert good(read(data, "xlsx")) == expected
    assert good(read(data, None)) == expected


def test_a_workbook_without_contents_and_one_that_is_none_are_refused() -> None:
    with pytest.raises(FileUnreadable, match="no column is called content"):
        read(workbook({"A": [["x", "y"], [1, 2]]}), "xlsx")
    with pytest.raises(FileUnreadable, match="no workbook"):
        read(b"PK\x03\x04" + bytes(100), "xlsx")


def test_rows_of_a_workbook_have_the_numbers_that_the_sheet_shows() -> None:
    sheet = [["", ""], ["", ""], ["id", "content"], ["", ""], ["1", "a"]]
    assert good(read(workbook({"S": sheet}), "xlsx")) == [(5, {"id": "1", "content": "a"})]


def test_of_two_sheets_with_contents_none_is_passed_over() -> None:
    one, two = [["content"], ["a"]], [["content"], ["b"]]
    with pytest.raises(FileUnreadable, match="A and B all have"):
        read(workbook({"A": one, "B": two}), "xlsx")
    assert len(read(workbook({"A": [["content"]], "B": two}), "xlsx")) == 1


def test_a_file_is_opened_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_text(json.dumps({"content": "a"}))
    with rows.opened(file, WANTED) as found:
        assert good(list(found)) == [(1, {"content": "a"})]


# ---- cells that are no formulas --------------------------------------------------------------


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-1", "@here", "\t=1", "\r=1", "'=1"])
def test_a_cell_is_no_formula(cell: str) -> None:
    assert harmless(cell).startswith("'")


@given(st.text("'=+-@\tab", max_size=8))
def test_what_was_made_harmless_is_read_as_it_was(cell: str) -> None:
    assert meant(harmless(cell)) == cell
    assert harmless(cell)[:1] not in tuple("=+-@\t\r")
