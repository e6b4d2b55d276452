"""`quorum verdicts export` writes every page of what was asked for."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import verdicts
from cli.app import app
from cli.service import Service

ASKED: dict[str, str] = {"decision": "unsafe", "from": "2026-11-01", "panel": "economy"}


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment whose list has two pages."""

    def answer(request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        assert request.url.params.get_list("metadata") == ["forum=cats", "thread=7"]
        del query["metadata"]
        if query == ASKED:
            return httpx.Response(200, json={"verdicts": [{"id": "a"}, {"id": "é"}], "next": "p"})
        assert query == ASKED | {"next": "p"}
        return httpx.Response(200, json={"verdicts": [{"id": "c"}], "next": None})

    one = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(verdicts, "connect", lambda _where: one)


def run(*out: str) -> Any:
    options = ["--decision", "unsafe", "--from", "2026-11-01", "--panel", "economy", *out]
    options += ["--metadata", "forum=cats", "--metadata", "thread=7"]
    return CliRunner().invoke(app, ["verdicts", "export", *options])


def test_every_page_is_written_a_line_each(deployment: None, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.jsonl"
    done = run("--out", str(out))
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["a", "é", "c"]
    assert done.stderr.strip() == "3 verdicts"
    assert out.stat().st_mode & 0o077 == 0


def test_without_a_file_they_go_to_stdout_alone(deployment: None) -> None:
    done = run()
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a", "é", "c"]
