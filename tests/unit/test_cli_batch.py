"""`quorum batch` and `quorum costs` against a service that is a handful of answers."""

import json
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from typer.testing import CliRunner

from cli import batch, costs
from cli.app import app
from cli.service import Service

VIEW = {
    "state": "complete",
    "items": 3,
    "settled": 2,
    "rejected": 1,
    "dead": 0,
    "cancelled": 0,
    "cost_usd": "0.01",
    "saved_usd": "0.002",
    "items_per_second": 2.0,
    "remaining_seconds": 0.0,
    "paused_until": None,
}
VERDICT = {
    "content_id": "a",
    "decision": "safe",
    "score": 0.1,
    "confidence": 0.9,
    "reason": "2 of 2 voters say safe",
    "cost_usd": "0.005",
}
RESULTS = [
    {"index": 0, "verdict": VERDICT},
    {"index": 1, "rejected": {"code": "invalid_content", "message": "content: too short"}},
    {"index": 2, "verdict": VERDICT},
]
ROW = dict.fromkeys(
    ("calls", "input_tokens", "output_tokens", "decisions", "cached_votes", "saved_tokens"), 3
) | dict.fromkeys(("cost_usd", "possibly_paid_usd", "open_usd", "saved_usd"), "0.01")
REPORT = {
    "by": "model",
    "start": "2026-11-01",
    "end": "2026-11-30",
    "requests": 3,
    "decisions": {"safe": 3},
    "cost_per_decision_usd": "0.0033",
    "cache_hit_rate": 0.25,
    "cost_krw": "13.50",
    "krw_per_usd": "1350",
    "krw_as_of": "2026-11-01",
    "totals": ROW | {"name": "total"},
    "rows": [ROW | {"name": "gpt-4.1"}],
}


class Told:
    """What the service was asked for."""

    def __init__(self) -> None:
        self.posted: list[Any] = []
        self.asked: list[httpx.URL] = []
        self.interrupt = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url)
        path = request.url.path
        if request.method == "POST":
            self.posted.append(json.loads(request.content))
            return httpx.Response(202, json={"id": "b1", "upload": "k", "url": "http://up/k"})
        if path.endswith("results"):
            start, limit = (int(request.url.params[name]) for name in ("start", "limit"))
            page = RESULTS[start : start + limit]
            after = start + limit
            return httpx.Response(
                200, json={"items": page, "next": after if after < len(RESULTS) else None}
            )
        if self.interrupt:
            raise KeyboardInterrupt
        return httpx.Response(200, json=REPORT if path.endswith("costs") else VIEW)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    service = Service("http://service", "key", transport=httpx.MockTransport(told))
    for module in (batch, costs):
        monkeypatch.setattr(module, "connect", lambda _where: service)
    monkeypatch.setattr(batch, "PAGE_ITEMS", 2)
    return told


def run(*arguments: str, stdin: str | None = None) -> Any:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.mark.parametrize(
    ("name", "text", "posted"),
    [
        ("f.txt", "one\n\n two\n", [{"content": "one"}, {"content": " two"}]),
        (
            "f.csv",
            'id,content\n7,"a, b"\n8,c\n',
            [{"content": "a, b", "id": "7"}, {"content": "c", "id": "8"}],
        ),
        ("f.jsonl", '{"content": "one", "id": "x"}\n', [{"content": "one", "id": "x"}]),
    ],
)
def test_a_file_of_any_kind_is_submitted_and_its_results_come_in_order(
    told: Told, tmp_path: Path, name: str, text: str, posted: Any
) -> None:
    file, out = tmp_path / name, tmp_path / "out.jsonl"
    file.write_text(text)
    done = run("batch", str(file), "--panel", "economy", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert told.posted == [{"panel": "economy", "items": posted}]
    assert [json.loads(line)["index"] for line in out.read_text().splitlines()] == [0, 1, 2]


def test_stdin_is_read_as_json_or_as_text(told: Told) -> None:
    done = run("batch", stdin='{"content": "one"}\ntwo\n')
    assert done.exit_code == 0, done.output
    assert told.posted == [{"items": [{"content": "one"}, {"content": "two"}]}]


def test_results_as_csv_say_what_was_rejected_and_why(told: Told, tmp_path: Path) -> None:
    file, out = tmp_path / "f.txt", tmp_path / "out.csv"
    file.write_text("one\n")
    assert run("batch", str(file), "--out", str(out)).exit_code == 0
    head, first, second, _ = out.read_text().splitlines()
    assert head.startswith("index,id,decision")
    assert first == "0,a,safe,0.1,0.9,2 of 2 voters say safe,0.005"
    assert second == "1,,rejected,,,content: too short,"


def test_interrupted_it_says_how_to_go_on_and_goes_on(told: Told, tmp_path: Path) -> None:
    told.interrupt = True
    file = tmp_path / "f.txt"
    file.write_text("one\n")
    stopped = run("batch", str(file))
    assert stopped.exit_code == 130
    assert "--resume b1" in stopped.output
    told.interrupt = False
    out = tmp_path / "out.jsonl"
    assert run("batch", "--resume", "b1", "--out", str(out)).exit_code == 0
    assert len(told.posted) == 1
    assert len(out.read_text().splitlines()) == 3


def test_more_than_a_request_takes_is_uploaded(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[bytes] = []

    def put(_self: Service, _url: str, body: IO[bytes], _length: int) -> None:
        uploaded.append(body.read())

    monkeypatch.setattr(Service, "put", put)
    file = tmp_path / "f.txt"
    file.write_text("".join(f"text {number}\n" for number in range(1_001)))
    assert run("batch", str(file)).exit_code == 0
    assert told.posted == [{}, {"upload": "k"}]
    assert len(uploaded[0].splitlines()) == 1_001


def test_nothing_to_judge_is_said_so(told: Told) -> None:
    assert run("batch", stdin="\n").exit_code == 2
    assert told.posted == []


def test_costs_are_shown_and_written(told: Told, tmp_path: Path) -> None:
    out = tmp_path / "cost_report.json"
    done = run("costs", "--from", "2026-11-01", "--to", "2026-11-30", "--out", str(out))
    assert done.exit_code == 0, done.output
    assert dict(told.asked[-1].params) == {"from": "2026-11-01", "to": "2026-11-30", "by": "model"}
    assert json.loads(out.read_text()) == REPORT
    for shown in ("gpt-4.1", "$0.0033 a decision", "₩13.50", "25% of all"):
        assert shown in done.output
