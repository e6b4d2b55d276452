"""`quorum batch` and `quorum costs` against a fake service."""

import csv
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli import batch, costs
from cli.app import app
from cli.service import Service
from tests.workbooks import workbook

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
    "categories": {"harassment": 0.1},
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
    chosen = ("--panel", "economy", "--policy", "gaming")
    done = run("batch", str(file), *chosen, "--out", str(out))
    assert done.exit_code == 1, done.output  # an item is rejected
    assert told.posted == [{"panel": "economy", "policy": "gaming", "items": posted}]
    assert [json.loads(line)["index"] for line in out.read_text().splitlines()] == [0, 1, 2]


def test_stdin_is_read_as_json_or_as_text(told: Told) -> None:
    done = run("batch", stdin='{"content": "one"}\n{"content": "two"}\n')
    assert told.posted == [{"items": [{"content": "one"}, {"content": "two"}]}], done.output
    run("batch", stdin="three\nfour\n")
    assert told.posted[1] == {"items": [{"content": "three"}, {"content": "four"}]}


def test_results_as_csv_say_what_was_rejected_and_why(told: Told, tmp_path: Path) -> None:
    file, out = tmp_path / "f.txt", tmp_path / "out.csv"
    file.write_text("one\n")
    assert run("batch", str(file), "--out", str(out)).exit_code == 1
    head, first, second, _ = out.read_text("utf-8-sig").splitlines()
    assert head.startswith("index,line,id,decision")
    assert first == "0,1,a,safe,0.1,0.9,harassment,2 of 2 voters say safe,0.005"
    assert second == "1,,,rejected,,,,content: too short,"


def test_interrupted_it_says_how_to_go_on_and_goes_on(told: Told, tmp_path: Path) -> None:
    told.interrupt = True
    file = tmp_path / "f.txt"
    file.write_text("one\n")
    stopped = run("batch", str(file))
    assert stopped.exit_code == 130
    assert "--resume b1" in stopped.output
    told.interrupt = False
    out = tmp_path / "out.jsonl"
    assert run("batch", "--resume", "b1", "--out", str(out)).exit_code == 1
    assert len(told.posted) == 1
    assert len(out.read_text().splitlines()) == 3


def test_more_than_a_request_takes_is_uploaded(
    told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploaded: list[bytes] = []

    def upload(_self: Service, body: IO[bytes]) -> str:
        body.seek(0)
        uploaded.append(body.read())
        return "k"

    monkeypatch.setattr(Service, "upload", upload)
    file = tmp_path / "f.txt"
    file.write_text("".join(f"text {number}\n" for number in range(1_001)))
    assert run("batch", str(file)).exit_code == 1
    assert told.posted == [{"upload": "k"}]
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
    for shown in ("gpt-4.1", "$0.0033 per decision", "₩13.50", "25% of all"):
        assert shown in done.output


FIGURES = {
    "model": {"calls", "tokens", "booked", "possibly paid", "open"},
    "decision": {"booked", "decisions"},
    "tenant": {"calls", "tokens", "booked", "possibly paid", "open", "decisions"},
    "day": {"calls", "tokens", "booked", "possibly paid", "open", "decisions"},
}


@pytest.mark.parametrize("by", FIGURES)
def test_a_report_has_the_columns_that_it_can_fill_and_no_blank_cell(by: str) -> None:
    written = io.StringIO()
    wide = Console(file=written, width=200, color_system=None)
    costs.show_costs(wide, REPORT | {"by": by})
    heading, *rows = (re.split(r"  +", line.strip()) for line in written.getvalue().splitlines())
    assert set(heading) == {by} | FIGURES[by]
    assert [len(row) for row in rows] == [len(heading)] * 2


# ---- what is handed in, and what comes back ---------------------------------------------------


class Batch:
    """A deployment that judges what it is handed in, and rejects what is empty."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.dead: set[int] = set()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "POST":
            self.items = json.loads(request.content)["items"]
            return httpx.Response(202, json={"id": "b1"})
        results = [self._result(index, item) for index, item in enumerate(self.items)]
        if path.endswith("results"):
            return httpx.Response(200, json={"items": results, "next": None})
        counts = Counter(next(key for key in one if key != "index") for one in results)
        state = "incomplete" if self.dead else "complete"
        view = VIEW | {
            "state": state,
            "items": len(results),
            "settled": counts["verdict"],
            "rejected": counts["rejected"],
            "dead": counts["dead"],
        }
        return httpx.Response(200, json=view)

    def _result(self, index: int, item: dict[str, Any]) -> dict[str, Any]:
        if index in self.dead:
            return {"index": index, "dead": {"reason": "timed_out"}}
        if not item["content"]:
            return {"index": index, "rejected": {"code": "invalid_content", "message": "empty"}}
        decision = {"i": "unsafe", "q": "needs_review"}.get(item["content"][-1], "safe")
        verdict = VERDICT | {"content_id": item.get("id"), "decision": decision}
        return {"index": index, "verdict": verdict}


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Batch:
    deployment = Batch()
    service = Service("http://service", "key", transport=httpx.MockTransport(deployment))
    monkeypatch.setattr(batch, "connect", lambda _where: service)
    return deployment


def handed_in(deployed: Batch, name: str, data: bytes, folder: Path, *options: str) -> Any:
    file = folder / name
    file.write_bytes(data)
    return run("batch", str(file), "--out", str(folder / "r.jsonl"), *options)


DEEP = "[" * 2_000
"""JSON that is nested too deeply to be read."""


@pytest.mark.parametrize(
    ("name", "text", "items"),
    [
        ("f.csv", "ID,Text,Language\n1,a,\n2,b,EN\n", [
            {"content": "a", "id": "1"}, {"content": "b", "id": "2", "language": "en"}]),
        ("f.csv", 'content,context\na,"{""parent"": ""p""}"\nb,none\nc,\n', [
            {"content": "a", "context": {"parent": "p"}},
            {"content": "b", "context": "none"}, {"content": "c"}]),
        ("f.csv", f"content,context\na,{DEEP}\n", [{"content": "a", "context": DEEP}]),
        ("f.jsonl", '{"content": "a", "context": {"messages": ["m"]}}\n', [
            {"content": "a", "context": {"messages": ["m"]}}]),
        ("f.csv", "id,content,language\n1,a,pt-BR\n", [
            {"content": "a", "id": "1", "language": "pt"}]),
        ("f.tsv", "content\tid\na, b\t\n", [{"content": "a, b"}]),
        ("f.ndjson", '{"id": 7, "content": "a"}\n', [{"content": "a", "id": "7"}]),
        ("f.jsonl", '{"content": "nice \\ud83d"}\n', [{"content": "nice \ufffd"}]),
        ("f.jsonl", '{"content": "nice \\ud83d\\ude00"}\n', [{"content": "nice 😀"}]),
        ("f.jsonl", '{"content": "a\\u0000b \\ufffe"}\n', [{"content": "a\x00b \ufffe"}]),
        ("f.jsonl", '{"content": 12345}\n', [{"content": "12345"}]),
        ("f.jsonl", '{"content": "a", "metadata": {"k": "\\udc00"}}\n', [
            {"content": "a", "metadata": {"k": "\ufffd"}}]),
        ("f.csv", 'id,content,metadata\n1,a,"{""k"": 1}"\n', [
            {"content": "a", "id": "1", "metadata": {"k": 1}}]),
        ("f.jsonl", '{"content": "a", "id": true}\n', [{"content": "a", "id": True}]),
        ("f.json", '[{"content": "a"}, "b"]', [{"content": "a"}, {"content": "b"}]),
        ("f.txt", "a\n{b}\n", [{"content": "a"}, {"content": "{b}"}]),
    ],
)  # fmt: skip
def test_items_are_handed_in_as_they_are_meant(
    deployed: Batch, tmp_path: Path, name: str, text: str, items: Any
) -> None:
    done = handed_in(deployed, name, text.encode(), tmp_path)
    assert done.exit_code == 0, done.output
    assert deployed.items == items


@pytest.mark.parametrize(
    ("options", "items"),
    [
        (["--language", "EN-us"], [{"language": "ko"}, {"language": "en"}]),
        (
            ["--default-language", "de"],
            [{"language": "ko", "default_language": "de"}, {"default_language": "de"}],
        ),
        ([], [{"language": "ko"}, {}]),
    ],
)
def test_rows_that_name_no_language_get_that_of_the_command(
    deployed: Batch, tmp_path: Path, options: list[str], items: Any
) -> None:
    table = b'{"content": "a", "language": "ko"}\n{"content": "a", "language": null}\n'
    assert handed_in(deployed, "f.jsonl", table, tmp_path, *options).exit_code == 0
    assert deployed.items == [{"content": "a"} | item for item in items]


@pytest.mark.parametrize("option", ["--language", "--default-language"])
def test_a_word_that_is_no_language_is_refused_before_anything_is_paid(
    deployed: Batch, tmp_path: Path, option: str
) -> None:
    done = handed_in(deployed, "f.txt", b"a\n", tmp_path, option, "English")
    assert done.exit_code == 2
    assert "ISO 639" in done.output
    assert deployed.items == []


def test_a_workbook_is_handed_in(deployed: Batch, tmp_path: Path) -> None:
    data = workbook({"posts": [["id", "content"], [7, "a"], [8, "b"]]})
    assert handed_in(deployed, "f.xlsx", data, tmp_path).exit_code == 0
    assert deployed.items == [{"content": "a", "id": "7"}, {"content": "b", "id": "8"}]


def test_a_table_on_stdin_is_a_table(deployed: Batch) -> None:
    done = run("batch", "--csv", "-", stdin='id,content\n1,"a\nb"\n2,c\n')
    assert done.exit_code == 0, done.output
    assert [item["content"] for item in deployed.items] == ["a\nb", "c"]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("f.pdf", b"%PDF-1.7", "not read"),
        ("f.parquet", b"PAR1", "not read"),
        ("f", b"a\nb\n", "not read"),
        ("f.csv", b"PK\x03\x04" + bytes(30), "workbook"),
        ("f.csv", b"id,comment\n1,a\n", "no column is called content or text"),
        ("f.json", b"[1, 2", "not JSON"),
        ("f.txt", b"\n\n", "nothing to judge"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_before_anything_is_paid(
    deployed: Batch, tmp_path: Path, name: str, data: bytes, says: str
) -> None:
    done = handed_in(deployed, name, data, tmp_path)
    assert done.exit_code == 2
    assert says in " ".join(done.output.replace("│", " ").split())
    assert deployed.items == []


def test_a_column_and_a_kind_can_be_named(deployed: Batch, tmp_path: Path) -> None:
    options = ("--kind", "csv", "--column", "comment", "--encoding", "cp949")
    done = handed_in(deployed, "f.dat", "id,comment\n1,바보\n".encode("cp949"), tmp_path, *options)
    assert done.exit_code == 0, done.output
    assert deployed.items == [{"content": "바보", "id": "1"}]


BAD = '{"id": "a", "content": "fi"}\n\n{"id": "b", "content": NaN}\nnot json\n{"id": "d"}\n'
"""One good line, two that are not JSON and one without a content."""


def test_rejected_rows_are_named_with_line_id_and_reason(deployed: Batch, tmp_path: Path) -> None:
    done = handed_in(deployed, "f.jsonl", BAD.encode(), tmp_path)
    assert done.exit_code == 1
    first, nan, broken, empty = map(json.loads, (tmp_path / "r.jsonl").read_text().splitlines())
    assert (first["line"], first["id"], first["verdict"]["decision"]) == (1, "a", "unsafe")
    assert (nan["index"], nan["line"], nan["id"]) == (1, 3, "b")
    assert "NaN is no value of JSON" in nan["rejected"]["message"]
    assert (broken["line"], "id" in broken) == (4, False)
    assert (empty["line"], empty["id"]) == (5, "d")
    said = done.output
    assert "line 3 (id b) is rejected: it is not JSON" in said
    assert "complete: 0 safe, 1 unsafe, 0 to review, 3 rejected; $0.01, saved $0.002" in said


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ('{"content": true, "id": "x"}', {"content": "", "id": "x"}),
        ('{"content": "a", "Content": "b", "id": "x"}', {"content": "", "id": "x"}),
        ('{"content": "a", "content": "b", "id": "x"}', {"content": "", "id": "x"}),
        ('{"content": NaN, "id": "x"}', {"content": "", "id": "x"}),
    ],
)
def test_a_row_that_may_mean_two_things_is_rejected_alone(
    deployed: Batch, tmp_path: Path, line: str, item: Any
) -> None:
    done = handed_in(deployed, "f.jsonl", f'{line}\n{{"content": "b"}}\n'.encode(), tmp_path)
    assert done.exit_code == 1, done.output
    assert deployed.items == [item, {"content": "b"}]


def test_nothing_is_handed_in_where_no_row_can_be_judged(deployed: Batch, tmp_path: Path) -> None:
    done = handed_in(deployed, "f.jsonl", b"not json\n{}\n", tmp_path)
    assert done.exit_code == 1
    assert deployed.items == []


def test_decisions_are_counted_and_dead_items_are_an_error(deployed: Batch, tmp_path: Path) -> None:
    whole = handed_in(deployed, "f.txt", b"a\nfi\nq\nb\n", tmp_path)
    assert whole.exit_code == 0
    assert "complete: 2 safe, 1 unsafe, 1 to review; $0.01" in whole.output
    deployed.dead = {1}
    partly = handed_in(deployed, "f.txt", b"a\nfi\nq\nb\n", tmp_path)
    assert partly.exit_code == 1
    assert "incomplete: 2 safe, 0 unsafe, 1 to review, 1 dead;" in partly.output


def test_results_as_csv_open_in_a_spreadsheet_and_hold_no_formula(
    deployed: Batch, tmp_path: Path
) -> None:
    out = tmp_path / "r.csv"
    file = tmp_path / "f.csv"
    file.write_text("id,content\n=HYPERLINK(1),안녕\n-2,@SUM(1)\n")
    assert run("batch", str(file), "--out", str(out), "--contents").exit_code == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbf")
    with out.open(encoding="utf-8-sig", newline="") as written:
        first, second = csv.DictReader(written)
    assert (first["id"], first["content"], first["categories"]) == (
        "'=HYPERLINK(1)",
        "안녕",
        "harassment",
    )
    assert (second["id"], second["content"], second["line"]) == ("'-2", "'@SUM(1)", "3")


def test_a_batch_that_is_resumed_with_its_file_knows_lines_and_ids(
    deployed: Batch, tmp_path: Path
) -> None:
    handed_in(deployed, "f.jsonl", BAD.encode(), tmp_path)
    deployed_items = deployed.items
    done = handed_in(deployed, "f.jsonl", BAD.encode(), tmp_path, "--resume", "b1")
    assert done.exit_code == 1
    assert deployed.items is deployed_items
    lines = [json.loads(line)["line"] for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert lines == [1, 3, 4, 5]


def test_fields_nobody_knows_are_named(deployed: Batch, tmp_path: Path) -> None:
    done = handed_in(deployed, "f.jsonl", b'{"content": "a", "note": "x"}\n', tmp_path)
    assert deployed.items == [{"content": "a"}]
    assert "columns not used: note" in done.output
