"""`quorum replies`: read as meant, unreadable, wrong."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from cli.app import app

AS_MEANT = [
    {"model": "one", "expected": "safe", "reply": '```json\n{"decision": "safe"}\n```'},
    {"model": "one", "expected": "unsafe", "reply": "{'decision': '유해',}"},
    {"model": "two", "expected": "needs_review", "reply": '{"decision": "needs review"}'},
]


def _replies(tmp_path: Path, rows: list[dict[str, str]], *options: str) -> Any:
    file = tmp_path / "replies.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return CliRunner().invoke(app, ["replies", str(file), *options], env={"COLUMNS": "200"})


def test_all_read_as_meant_is_said_and_exits_0(tmp_path: Path) -> None:
    result = _replies(tmp_path, AS_MEANT)
    assert "3 of 3 read as meant, 0 unreadable, 0 wrong" in result.stdout
    assert result.exit_code == 0


def test_an_unreadable_reply_is_counted_but_not_wrong(tmp_path: Path) -> None:
    row = {"expected": "safe", "reply": "It is safe, or unsafe."}
    result = _replies(tmp_path, [*AS_MEANT, row], "--show")
    assert "3 of 4 read as meant, 1 unreadable, 0 wrong" in result.stdout
    assert "It is safe, or unsafe." in result.stdout
    assert result.exit_code == 0


def test_any_wrong_one_exits_1(tmp_path: Path) -> None:
    row = {"expected": "safe", "reply": '{"decision": "unsafe"}'}
    result = _replies(tmp_path, [*AS_MEANT, row])
    assert "1 wrong" in result.stdout
    assert result.exit_code == 1
