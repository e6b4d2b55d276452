"""Byte order marks name the codec that reads them."""

import pytest
from quorum.core.byte_order import marked_encoding


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
