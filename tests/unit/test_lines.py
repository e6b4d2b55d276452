"""Lines of an upload, as programs of other people write them."""

import json
from typing import Any

import pytest
from quorum.bulk.requests import Chosen, read_item
from quorum.core.errors import PanelInvalid
from quorum.core.rejection import Rejection
from quorum.document.requests import read_document
from quorum.vote.panel import Panel, packaged
from quorum.vote.policy import DEFAULT, PACKAGED
from quorum.vote.requests import VerdictRequest


def panel_called(name: str) -> Panel:
    if name != "default":
        raise PanelInvalid("there is no such panel", path="name")
    return packaged(name)


def read(line: bytes) -> VerdictRequest | Rejection:
    return read_item(line, Chosen("default", PACKAGED, panel_called, lambda _name: DEFAULT))


@pytest.mark.parametrize(
    ("line", "text", "fields"),
    [
        (b'{"content": "good morning"}', "good morning", {}),
        (b'\xef\xbb\xbf{"content": "after a mark", "id": "r0"}', "after a mark", {"id": "r0"}),
        (b'{"content": "cut \\ud83d"}', "cut \ufffd", {}),
        (b'{"content": "\\uDE00 cut", "id": "7"}', "\ufffd cut", {"id": "7"}),
        (b'{"content": "whole \\ud83d\\ude00"}', "whole \U0001f600", {}),
        (rb'{"content": "a folder C:\\ud83d"}', "a folder C:\\ud83d", {}),
        (b'{"content": "hi", "language": "pt-BR"}', "hi", {"language": "pt"}),
        ('{"content": "a\u2028b"}\r'.encode(), "a\u2028b", {}),
    ],
    ids=lambda one: one[:40] if isinstance(one, bytes) else None,
)
def test_a_line_is_read_as_it_was_meant(line: bytes, text: str, fields: dict[str, Any]) -> None:
    item = read(line)
    assert isinstance(item, VerdictRequest)
    assert item.content == text
    assert {name: getattr(item, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"not JSON", "invalid_json"),
        (b'{"content": "x"},', "invalid_json"),
        (b'["x"]', "invalid_item"),
        (b'{"content": "x", "language": "Korean"}', "invalid_language"),
        (b'{"content": "x", "panel": "nobody"}', "invalid_panel"),
        (b'{"content": "\xff"}', "invalid_json"),
        (b'{"content": "kind", "content": "a threat"}', "name_repeated"),
        (b'{"content": "x", "metadata": {"a": "1", "\\u0061": "2"}}', "name_repeated"),
        (b"[" * 100_000, "invalid_json"),
    ],
    ids=lambda one: str(one)[:30],
)
def test_a_line_that_is_no_item_is_rejected_by_name(line: bytes, code: str) -> None:
    rejected = read(line)
    assert isinstance(rejected, Rejection)
    assert rejected.code == code


def test_a_document_of_an_upload_may_have_been_cut_inside_an_emoji() -> None:
    line = b"\xef\xbb\xbf" + json.dumps({"text": "half \ud83d", "id": "d"}).encode()
    document = read_document(line)
    assert not isinstance(document, Rejection), document
    assert document.id == "d"
