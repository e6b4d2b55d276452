"""`quorum replay` and `quorum transparency`: what they print, and how they end."""

import json
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import replay, transparency
from cli.app import app
from cli.service import Service

REPLAY = {
    "verdict_id": "v",
    "result": "same",
    "differences": [],
    "missing": [],
    "panel": "default",
    "panel_version": "ac5abeb59223",
    "policy": "default",
    "policy_version": "0123456789ab",
    "answered_from": "panel",
}
ESTIMATE = {"share": 0.04, "low": 0.02, "high": 0.08, "sampled": 250}
REPORT = {
    "start": "2026-11-01",
    "end": "2026-11-30",
    "verdicts": {"safe": 9_000, "unsafe": 800, "needs_review": 200},
    "automated_share": 0.98,
    "reviewed": {"safe": 150, "unsafe": 50},
    "median_review_seconds": 3_600.0,
    "quality": {"wrong": ESTIMATE, "wrongly_unsafe": None, "wrongly_safe": ESTIMATE},
    "appeals": {"made": 12, "upheld": 7, "overturned": 3, "overturn_rate": 0.3},
    "complete": False,
}


def deployed(monkeypatch: pytest.MonkeyPatch, module: Any, path: str, body: Any) -> None:
    """A deployment that answers one address."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path.endswith(path), request.url
        return httpx.Response(200, json=body)

    one = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(module, "connect", lambda *_given, **_named: one)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_verdict_that_comes_out_the_same_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, replay, "/verdicts/v/replay", REPLAY)
    done = run("replay", "v")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("same: panel default@ac5abeb59223")
    assert json.loads(run("replay", "v", "--json").stdout) == REPLAY


def test_a_verdict_that_comes_out_otherwise_ends_with_1_and_says_what_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    differing = {"field": "decision", "stored": "safe", "again": "unsafe"}
    found = REPLAY | {"result": "different", "differences": [differing]}
    deployed(monkeypatch, replay, "/verdicts/v/replay", found)
    done = run("replay", "v")
    assert done.exit_code == 1
    assert 'decision: stored "safe", now "unsafe"' in done.stdout


def test_what_is_not_kept_any_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    found = REPLAY | {"result": "impossible", "missing": ["panel default@ac5abeb59223"]}
    deployed(monkeypatch, replay, "/verdicts/v/replay", found)
    done = run("replay", "v")
    assert done.exit_code == 1
    assert "not kept any more: panel default@ac5abeb59223" in done.stdout


def test_a_report_shows_each_figure_with_its_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    deployed(monkeypatch, transparency, "/transparency", REPORT)
    done = run("transparency", "--from", "2026-11-01", "--to", "2026-11-30")
    assert done.exit_code == 0, done.output
    for shown in ("98.0%", "4.0% (2.0% to 8.0%; 250 checked)", "nothing was checked", "30.0%"):
        assert shown in done.stdout
    assert "fewer days" in done.stderr
    assert json.loads(run("transparency", "--json").stdout) == REPORT
