"""Byte order marks name the codec that reads them."""

import pytest
from quorum.core.byte_order import marked_encoding, unmarked_utf_16


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_names_the_codec_that_reads_it(codec: str) -> None:
    data = "한 é".encode(codec)
    assert marked_encoding(data) == codec
    assert data.decode(codec) == "한 é"
    assert marked_encoding("한 é".encode()) is None


@pytest.mark.parametrize("order", ["utf-16-be", "utf-32-be"])
def test_a_mark_is_known_in_either_byte_order(order: str) -> None:
    data = "\ufeffa".encode(order)
    assert marked_encoding(data) == order.removesuffix("-be")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ["hello", "안녕하세요\n여러분", "번호,내용\r\n일,이\r\n", "a\nb"])
def test_utf_16_without_a_mark_shows_itself(codec: str, text: str) -> None:
    assert unmarked_utf_16(text.encode(codec)) == codec


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"a",
        b"hello\n",
        b"nul \x00 here\n2,b\n",
        bytes(40),
        bytes(range(256)),
        b"\x00\x00\x01\x02",
    ],
)
def test_other_bytes_are_no_utf_16(data: bytes) -> None:
    assert unmarked_utf_16(data) is None
