"""Estimates and `quorum documents` through the deployed template: files in, results out."""

import base64
import json
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.state import Stack
from tests.documents import docx, pdf, pdf_bomb
from tests.e2e.conftest import Api
from tests.template import ROOT

RUN = uuid4().hex[:8]
"""A stack that is kept between runs has the answers to an earlier run's texts."""
SENTENCE = f"{RUN}: 위원회는 모였다. 委員会は開かれた。 اجتمعت اللجنة؟ Everybody came 👨‍👩‍👧‍👦 🇰🇷. "
PATIENCE_SECONDS = 60


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def test_files_are_read_inside_the_lambda_and_a_bomb_is_refused_there(api: Api) -> None:
    files = {
        "text": SENTENCE.encode("utf-16"),
        "page": f"<!doctype html><p>{SENTENCE}".encode(),
        "pdf": pdf([SENTENCE, SENTENCE]),
        "word": docx([SENTENCE]),
        "bomb": pdf_bomb(),
        "encoded": ("위원회는 월요일 아침에 모였다. " * 3).encode("cp949"),
    }
    given = [{"id": name, "content": encoded(data)} for name, data in files.items()]
    body = {"operation": "summarize", "documents": given, "compare": True}
    answer = api.post("documents/estimate", body)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert [one["name"] for one in found["documents"]] == [name for name in files if name != "bomb"]
    assert [one["pages"] for one in found["documents"]] == [None, None, 2, None, None]
    assert [(one["index"], one["code"]) for one in found["rejected"]] == [(4, "too_complex")]
    assert Decimal(found["cost_krw"]) == round(Decimal(found["cost_usd"]) * 1350, 2) > 0
    assert {one["model"] for one in found["compared"]} >= {"gpt-4.1", "claude-sonnet-4.5"}
    assert found["requests_per_minute"] == 1_000_000


def test_an_estimate_learns_from_what_was_answered(api: Api) -> None:
    work: dict[str, Any] = {
        "operation": "custom",
        "prompt": "List the committees.",
        "model": "gpt-4.1-mini",
        "documents": [{"text": f"{SENTENCE} {number}"} for number in range(3)],
    }
    batch = api.post("documents", work).json()["id"]
    patience = time.monotonic() + PATIENCE_SECONDS
    while (view := api.get(f"batches/{batch}").json())["state"] != "complete":
        assert time.monotonic() < patience, view
        time.sleep(0.5)
    actual = view["actual"]
    found = api.post("documents/estimate", work).json()
    assert found["output_share"] == actual["output_tokens"] / actual["input_tokens"] != 0.2
    assert found["input_tokens"] == actual["input_tokens"]
    assert abs(found["output_tokens"] - actual["output_tokens"]) <= len(work["documents"])


def quorum(stack: Stack, *arguments: str, expected: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cli.app", *arguments],
        cwd=ROOT,
        env={"QUORUM_LOCAL": str(stack.folder), "PATH": "", "COLUMNS": "160"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def test_files_on_the_command_line_become_a_result_each_and_a_batch_is_gone_on_with(
    stack: Stack, tmp_path: Path
) -> None:
    files = {
        "minutes.txt": SENTENCE.encode(),
        "notice.html": f"<h1>{RUN}</h1><p>{SENTENCE}".encode(),
        "deep/report.pdf": pdf([SENTENCE, f"{RUN} second page"]),
        "deep/letter.docx": docx([SENTENCE, RUN]),
        "large.md": f"# {RUN}\n\n{SENTENCE * 3_000}".encode(),
        "bomb.pdf": pdf_bomb(),
    }
    for name, data in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    given = [str(tmp_path / "in" / name) for name in files]
    out = tmp_path / "out"
    told = quorum(stack, "documents", *given, "--out", str(out), "--yes", expected=1)
    assert "5 done, 1 rejected" in told
    summary = json.loads((out / "documents.json").read_text())
    written = {entry["name"]: entry.get("file") for entry in summary["documents"]}
    assert written == {name: f"{name}.md" for name in files} | {"bomb.pdf": None}
    assert all((out / name).read_text().strip() for name in written.values() if name)
    before, actual = summary["estimate"], summary["actual"]
    assert before["input_tokens"] == actual["input_tokens"]
    assert Decimal(actual["cost_usd"]) > 0
    again = tmp_path / "again"
    (batch,) = summary["batches"]
    quorum(stack, "documents", "--resume", batch, "--out", str(again))
    for name in written.values():
        assert name is None or (again / name).read_text() == (out / name).read_text()
