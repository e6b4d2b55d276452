"""Text in bytes of before Unicode: by the name it has on the web, else only where it is certain."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.errors import DocumentUnreadable
from quorum.document.encodings import text_in


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [
        ("iso-8859-1", "cp1252", "That’s “odd” – 5 €"),
        ("latin1", "cp1252", "That’s “odd” – 5 €"),
        ("us-ascii", "cp1252", "naïve – 5 €"),
        ("iso-8859-9", "cp1254", "değil – 5 €"),
        ("tis-620", "cp874", "ขอบคุณ…"),
        ("euc-kr", "cp949", "펲시와 뷁"),
        ("ks_c_5601-1987", "cp949", "펲시와 뷁"),
        ("shift_jis", "cp932", "①㈱髙"),
        ("gb2312", "gb18030", "朱镕基喆"),
        ("gbk", "gb18030", "朱镕基喆"),
        ("big5", "big5hkscs", "唔係啲嘢嘅"),
        ("big5-hkscs", "big5hkscs", "唔係啲嘢嘅"),
        ("iso-2022-jp", "iso2022_jp", "委員会"),
        ("x-sjis", "cp932", "委員会"),
        ("koi8-u", "koi8_u", "їжак і ґава"),
        ("cp850", "cp850", "naïve"),
        ("johab", "johab", "위원회"),
        (" 'UTF-8' ".strip(" '"), "utf-8", "위원회"),
    ],
)
def test_a_name_means_what_it_means_on_the_web(label: str, encoding: str, text: str) -> None:
    assert text_in(text.encode(encoding), f"text/plain; charset={label}") == text
    page = f'<meta charset="{label}"><p>{text}</p>'.encode(encoding)
    assert text_in(page, None).endswith(f"<p>{text}</p>")


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp949", "다음 주에 만나요"),
        ("cp949", "배송이 늦어서 환불을 원합니다."),
        ("cp932", "来週の会議は中止になりました。"),
        ("euc_jp", "来週の会議は中止になりました。"),
        ("gb18030", "这个东西坏了,请把钱退还给我。"),
        ("big5", "請把錢還給我。謝謝。"),
        ("cp1251", "Верните мне деньги, пожалуйста."),
        ("koi8_r", "Верните мне деньги, пожалуйста."),
        ("cp1253", "Θέλω πίσω τα χρήματά μου."),
        ("cp1256", "أريد استعادة نقودي من فضلك"),
        ("cp1255", "אני רוצה את הכסף שלי בחזרה"),
        ("cp874", "ขอเงินคืนด้วยครับ"),
        ("cp1254", "Paramı geri istiyorum, teşekkür ederim."),
        ("cp1250", "Proszę o zwrot pieniędzy, dziękuję."),
        ("cp1252", "Rendez-moi mon argent, s’il vous plaît."),
        ("cp1252", "Bitte überweisen Sie mir das Geld zurück."),
        ("cp1252", "He said “no” – for €5."),
        ("cp1252", "¿Dónde está mi dinero? ¡Devuélvamelo!"),
        ("iso2022_jp", "来週の会議は中止です。"),
    ],
)
def test_a_sentence_is_told_by_itself(encoding: str, text: str) -> None:
    assert text_in(text.encode(encoding), None) == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("gb18030", "你好"), ("big5", "謝謝"), ("cp949", "네"), ("cp932", "はい"),
        ("cp1251", "Нет"), ("koi8_r", "не могу"), ("cp1255", "לא"),
        ("cp1254", "Bu çok ağır bir şey."),
    ],
)  # fmt: skip
def test_what_is_too_short_to_tell_is_refused_rather_than_read_as_another(
    encoding: str, text: str
) -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        text_in(text.encode(encoding), None)
    assert refused.value.code == "unknown_encoding"
    assert "UTF-8" in refused.value.message


@pytest.mark.parametrize("label", ["utf-7", "unicode_escape", "rot13", "zip", "undefined", "idna"])
def test_a_name_that_is_no_encoding_of_the_web_is_not_believed(label: str) -> None:
    text = "Où est-il passé ? +AGE- \\u0061"
    assert text_in(text.encode("cp1252"), f"text/html; charset={label}") == text


def test_a_page_in_ascii_letters_that_says_utf_16_is_in_neither_half() -> None:
    page = "<meta charset=utf-16><p>déjà vu à l'école</p>"
    assert text_in(page.encode("cp1252"), None) == page


def test_a_long_file_is_told_by_its_beginning() -> None:
    text = "배송이 늦어서 환불을 원합니다.\n" * 20_000
    assert text_in(text.encode("cp949"), None) == text


@given(st.binary(max_size=300))
def test_any_bytes_are_text_without_half_characters_or_refused(data: bytes) -> None:
    with suppress(DocumentUnreadable):
        text_in(data, None).encode()
