"""The search of logs for what is private finds it in every form."""

import json
from pathlib import Path

import pytest

from tests.logs import logged, private_in

TEXT = 'Nobody shall "read" this, ä, 글'


@pytest.mark.parametrize(
    "line",
    [
        TEXT,
        json.dumps({"content": TEXT}),
        json.dumps({"content": TEXT}, ensure_ascii=False),
        json.dumps({"body": json.dumps({"content": TEXT})}),
    ],
)
def test_a_text_is_found_however_it_was_quoted(line: str) -> None:
    assert private_in(["START", f"… {line} …"], [TEXT]) == [TEXT]


def test_a_whole_key_is_found_and_its_beginning_is_none() -> None:
    key = "qk_" + "aB3-_" * 8
    assert private_in([f'{{"key": "{key}"}}', "qk_aB3-_aB"], []) == [key]
    assert (
        private_in(["safe", "key issued qk_aB3-_aB"], ["a text that nobody logged", "safe"]) == []
    )


def test_every_stream_of_every_group_is_read(tmp_path: Path) -> None:
    state = {"groups": {"a": {"streams": {"b": {"events": [{"message": "one"}]}}}}}
    (tmp_path / "data").mkdir()
    (tmp_path / "data/cloudwatch_logs.json").write_text(json.dumps(state))
    (tmp_path / "ministack.log").write_text("two")
    assert {"one", "two"} <= set(logged(tmp_path))
