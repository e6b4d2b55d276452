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


@pytest.mark.parametrize(
    "options",
    [
        ("--from", "yesterday"),
        ("--to", "2026-11-27T09:30:00"),
        ("--from", "2026-11-27T09:30:00 09:00"),
    ],
)
def test_what_is_neither_a_day_nor_a_time_is_not_asked_for(
    deployment: None, options: tuple[str, str]
) -> None:
    done = CliRunner().invoke(app, ["verdicts", "export", *options])
    assert done.exit_code == 2
    assert "must be a day" in done.stderr


def test_a_time_is_asked_for_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.extend(request.url.params.multi_items())
        return httpx.Response(200, json={"verdicts": [], "next": None})

    one = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(verdicts, "connect", lambda _where: one)
    options = ["--from", "2026-11-27T09:30:00+09:00", "--to", "2026-11-28", "--metadata", "thread"]
    assert CliRunner().invoke(app, ["verdicts", "export", *options]).exit_code == 0
    assert asked == [
        ("from", "2026-11-27T09:30:00+09:00"),
        ("to", "2026-11-28"),
        ("metadata", "thread"),
    ]


def test_without_a_file_they_go_to_stdout_alone(deployment: None) -> None:
    done = run()
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == ["a", "é", "c"]
