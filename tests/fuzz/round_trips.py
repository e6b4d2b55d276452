"""Files as other programs write them: what is read from them must be what was written.

Text in every encoding that files name, text in Unicode with and without a mark, tables and JSON
lines. A wrong text is a finding, as an unexpected error is.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st
from quorum.core.errors import DocumentUnreadable
from quorum.document import encodings, parsers

from analysis import rows
from analysis.rows import FileUnreadable
from tests.fuzz.checks import Parser, require
from tests.fuzz.inputs import Strategy, data

NAMED = {
    "windows-1250": "cp1250",
    "windows-1251": "cp1251",
    "windows-1252": "cp1252",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "windows-1253": "cp1253",
    "windows-1254": "cp1254",
    "iso-8859-9": "cp1254",
    "windows-1255": "cp1255",
    "windows-1256": "cp1256",
    "windows-1258": "cp1258",
    "windows-874": "cp874",
    "tis-620": "cp874",
    "iso-8859-2": "iso8859_2",
    "iso-8859-5": "iso8859_5",
    "iso-8859-7": "iso8859_7",
    "iso-8859-15": "iso8859_15",
    "koi8-r": "koi8_r",
    "koi8-u": "koi8_u",
    "ibm866": "cp866",
    "macintosh": "mac_roman",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "shift_jis": "cp932",
    "euc-jp": "euc_jp",
    "iso-2022-jp": "iso2022_jp",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb18030": "gb18030",
    "big5": "big5hkscs",
    "utf-8": "utf-8",
}
"""The codec that a label means on the web."""
MARKED = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
SENTENCES = (
    "The train to the coast leaves at nine.",
    "Der Zug zur Küste fährt um neun: Größe, Straße, €5.",
    "바다로 가는 기차는 아홉 시에 떠나고 우리는 국과 빵을 가져갑니다.",
    "海へ行く列車は九時に出ます。スープとパンを持って行きます。",
    "去海边的火车九点出发，我们带上汤和面包。",
    "Поезд к морю отходит в девять, мы берём суп и хлеб.",
    "Το τρένο για την ακτή φεύγει στις εννέα.",
    "يغادر القطار إلى الساحل في التاسعة",
    "รถไฟไปชายฝั่งออกเวลาเก้าโมง",
    "Kıyıya giden tren dokuzda kalkıyor, ğüşöç.",
)
WRITTEN = ("\n", "\r\n", "\r", "\t", '"', "'", ",", ";", "|", "\\", " ", "\x00", "\x1b", "\u2028")
DELIMITERS = (",", ";", "\t", "|")
TABLE_CODECS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252", "cp949", "cp1251")


@st.composite
def written(draw: st.DrawFn) -> str:
    """A text of sentences, control characters and whatever else can be written."""
    parts = draw(
        st.lists(
            st.sampled_from(SENTENCES)
            | st.sampled_from(WRITTEN)
            | st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
            max_size=8,
        )
    )
    return "".join(parts)


def read_named(given: tuple[str, str]) -> None:
    """Text in the encoding that its media type names."""
    text, label = given
    try:
        file = text.encode(NAMED[label])
        said = file.decode(NAMED[label])
    except UnicodeError:  # no such letter, or an escape that means something there
        return
    found = encodings.text_in(file, f"text/plain; charset={label}")
    require(found == said, f"another text than {label} says")


def read_unicode(given: tuple[str, str, str | None]) -> None:
    """Text in Unicode, whatever encoding its media type claims; a text may look like a page.

    Without zero characters: a text with some may be one in UTF-16.
    """
    text, codec, media_type = given
    text = text.replace("\x00", "")
    found = parsers.read(text.encode(codec), media_type, "a.txt", pages=100, characters=100_000)
    if found.media_type in (parsers.TEXT, parsers.MARKDOWN):
        require(found.text.lstrip("\ufeff") == text.lstrip("\ufeff"), "another text")


def cells_of(contents: Sequence[str]) -> list[str]:
    """The contents that a row has: blank cells are none."""
    return [content for content in contents if content.strip()]


def read_table(given: tuple[Sequence[str], str, tuple[Any, str], str]) -> None:
    """A table that the csv module wrote."""
    contents, delimiter, (quoting, end), codec = given
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["id", "content"])
    writer.writerows([number, content] for number, content in enumerate(contents, start=1))
    try:
        file = table.getvalue().encode(codec)
    except UnicodeEncodeError:
        return
    read = list(rows.rows_of(io.BytesIO(file), "csv", ("content",), encoding=codec))
    require(all(row.problem is None for row in read), "a row that cannot be read")
    found = [row.fields["content"] for row in read if "content" in row.fields]
    require(found == cells_of(contents), "other cells")


def read_lines(given: tuple[Sequence[str], bool, str, str | None]) -> None:
    """JSON lines that a program wrote."""
    contents, is_ascii, end, kind = given
    lines = [
        json.dumps({"id": f"{number}", "content": content}, ensure_ascii=is_ascii)
        for number, content in enumerate(contents)
    ]
    file = "".join(line + end for line in lines).encode()
    read = list(rows.rows_of(io.BytesIO(file), kind, ("content",)))
    require(all(row.problem is None for row in read), "a row that cannot be read")
    found = [row.fields.get("content", "") for row in read]
    require(found == list(contents), "other contents")


ENDS = ("\n", "\r\n")
STYLES = (
    *((csv.QUOTE_ALL, end) for end in ENDS),
    *((csv.QUOTE_NONNUMERIC, end) for end in ENDS),
    (csv.QUOTE_MINIMAL, "\r\n"),  # with "\n", Python 3.11 does not quote a carriage return
)
CONTENTS: Strategy = st.lists(written(), min_size=1, max_size=5)
BYTES: Strategy = data(
    *(
        sentence.encode(codec)
        for sentence in SENTENCES
        for codec in dict.fromkeys((*NAMED.values(), "utf-16", "utf-16-le", "utf-32"))
        if sentence.encode(codec, errors="ignore").decode(codec) == sentence
    )
)
"""Files of text in many encodings, whole and broken."""

ROUND_TRIPS: Mapping[str, Parser] = {
    "texts in the encoding that is named": Parser(
        read_named, st.tuples(written(), st.sampled_from([*NAMED])), (DocumentUnreadable,)
    ),
    "texts in Unicode": Parser(
        read_unicode,
        st.tuples(
            written(),
            st.sampled_from(MARKED),
            st.none() | st.sampled_from(["text/plain", "text/plain; charset=euc-kr", "text/x"]),
        ),
        (DocumentUnreadable,),
    ),
    "tables that programs write": Parser(
        read_table,
        st.tuples(
            CONTENTS,
            st.sampled_from(DELIMITERS),
            st.sampled_from(STYLES),
            st.sampled_from(TABLE_CODECS),
        ),
        (FileUnreadable,),
    ),
    "JSON lines that programs write": Parser(
        read_lines,
        st.tuples(CONTENTS, st.booleans(), st.sampled_from(ENDS), st.sampled_from(["jsonl", None])),
        (FileUnreadable,),
    ),
}


def labels(*more: Any) -> Strategy:
    """A media type that names an encoding, or none."""
    return st.sampled_from([None, *more, *(f"text/plain; charset={label}" for label in NAMED)])
