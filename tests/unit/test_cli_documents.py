"""`quorum estimate` and `quorum documents`: input, requests, output and files."""

import json
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from quorum.document.estimating import Estimate
from typer.testing import CliRunner

from cli import documents, estimate, work
from cli.app import app
from cli.service import Service
from tests.documents import docx, pdf, pdf_bomb

SENTENCE = "The committee met on Monday and adjourned at noon. "
ESTIMATED = {
    "model": "gpt-4.1-nano",
    "operation": "summarize",
    "pieces": 1,
    "calls": 1,
    "input_tokens": 100,
    "output_tokens": 50,
    "output_share": 0.5,
    "token_factor": 1.0,
    "token_error": 0.0,
    "cost_usd": "0.00003",
    "cost_krw": "0.04",
    "requests_per_minute": 7,
    "tokens_per_minute": 70_000,
    "seconds": 1,
    "bound_by": "answer",
    "documents": [],
    "krw_per_usd": "1400",
    "krw_as_of": "2026-11-20",
    "rejected": [],
}


def result(index: int, name: str, **said: Any) -> dict[str, Any]:
    document = {"answer": f"About {name}.", "answer_url": None, "failure": None, "name": name}
    return {"index": index, "document": document | {"cost_usd": "0.001", "pieces": 1} | said}


class Told:
    """A service that answers as it was told, and remembers what it was asked."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, Any]] = []
        self.uploaded: list[bytes] = []
        self.items: dict[str, list[dict[str, Any]]] = {}
        self.interrupt = False
        self.operation = "summarize"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.strip("/")
        if request.method == "POST":
            return self._posted(path, json.loads(request.content))
        if self.interrupt:
            raise KeyboardInterrupt
        batch = path.split("/")[1]
        if path.endswith("results"):
            return httpx.Response(200, json={"items": self.items[batch], "next": None})
        return httpx.Response(200, json=self._view(batch))

    def _posted(self, path: str, body: Any) -> httpx.Response:
        self.posted.append((path, body))
        if path.endswith("estimate"):
            return httpx.Response(200, json=ESTIMATED | {"operation": self.operation})
        batch = f"b{len(self.items) + 1}"
        self.items[batch] = [
            result(index, one["name"]) for index, one in enumerate(body["documents"])
        ]
        return httpx.Response(202, json={"id": batch})

    def _view(self, batch: str) -> dict[str, Any]:
        count = len(self.items[batch])
        amounts = {"input_tokens": 80 * count, "output_tokens": 40 * count, "cost_usd": "0.002"}
        return {
            "id": batch,
            "state": "complete",
            "operation": self.operation,
            "model": "gpt-4.1-nano",
            "items": count,
            "settled": count,
            **dict.fromkeys(("rejected", "dead", "cancelled"), 0),
            **dict.fromkeys(("cost_usd", "saved_usd"), "0.002"),
            **dict.fromkeys(("items_per_second", "remaining_seconds", "paused_until")),
            "estimate": amounts,
            "actual": amounts,
        }

    @property
    def handed_in(self) -> list[Any]:
        return [body for path, body in self.posted if path == "documents"]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    told = Told()
    service = Service("http://service", "key", transport=httpx.MockTransport(told))
    for module in (documents, estimate):
        monkeypatch.setattr(module, "connect", lambda _where: service)

    def upload(_self: Service, body: IO[bytes]) -> str:
        told.uploaded.append(body.read())
        return f"k{len(told.uploaded)}"

    monkeypatch.setattr(Service, "upload", upload)
    return told


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", "160")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    made = {
        "in/a.txt": (SENTENCE * 9).encode(),
        "in/b.pdf": pdf([SENTENCE, SENTENCE]),
        "in/deep/a.txt": docx([SENTENCE]),
    }
    for name, data in made.items():
        (tmp_path / name).write_bytes(data)
    return [str(tmp_path / name) for name in made]


def run(*arguments: str, stdin: str | None = None, columns: int | None = None) -> Any:
    environment = {} if columns is None else {"COLUMNS": str(columns)}
    return CliRunner().invoke(app, list(arguments), input=stdin, env=environment)


def estimated(printed: str) -> Estimate:
    document = json.loads(printed)
    assert document.pop("unreadable") == []
    return Estimate.model_validate(document)


def test_an_estimate_needs_no_service_and_shows_every_file_and_their_sum(
    files: list[str],
) -> None:
    done = run("estimate", *files, "--operation", "summarize", "--compare")
    assert done.exit_code == 0, done.output
    for shown in ("a.txt", "b.pdf", "deep/a.txt", "total of 3", "claude-sonnet-4.5", "exact", "₩"):
        assert shown in done.output


def test_the_headings_of_an_estimate_are_words_at_80_columns_and_no_cell_is_blank(
    files: list[str],
) -> None:
    done = run("estimate", *files, "--operation", "summarize", "--compare", columns=80)
    lines = done.stdout.splitlines()
    told = " ".join(lines)
    assert "±" not in lines[0]
    for word in ("input", "output", "tokens", "count", "within"):
        assert word in told
    (text,) = (line for line in lines if line.startswith("a.txt"))
    assert "–" in text  # a text has no pages
    assert max(map(len, lines[: next(i for i, x in enumerate(lines) if x.startswith("$"))])) <= 80


def test_an_estimate_as_json_is_the_one_the_service_gives(files: list[str]) -> None:
    done = run("estimate", *files, "--operation", "translate", "--model", "gpt-4.1", "--json")
    assert done.exit_code == 0, done.output
    found = estimated(done.stdout)
    assert [(one.name, one.pages) for one in found.documents] == [
        ("a.txt", None),
        ("b.pdf", 2),
        ("deep/a.txt", None),
    ]
    assert (found.requests_per_minute, found.output_share) == (500, 0.2)


def test_an_estimate_with_a_service_takes_its_terms_and_tells_it_nothing(
    files: list[str], told: Told
) -> None:
    done = run("estimate", *files, "--operation", "summarize", "--where", "local", "--json")
    assert done.exit_code == 0, done.output
    found = estimated(done.stdout)
    assert (found.output_share, found.requests_per_minute) == (0.5, 7)
    assert (str(found.krw_per_usd), str(found.krw_as_of)) == ("1400", "2026-11-20")
    ((_, body),) = told.posted
    assert body["documents"] == [{"text": "x"}]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--operation", "extract"], "extract needs the field schema"),
        (["--operation", "summarize", "--prompt", "x"], "prompt is an option of custom"),
        (
            ["--operation", "summarize", "--model", "rules"],
            "can vote but cannot generate text",
        ),
        (["--operation", "summarize", "--model", "none"], "unknown model"),
    ],
)
def test_options_that_do_not_fit_are_a_usage_error(
    files: list[str], options: list[str], said: str
) -> None:
    done = run("estimate", files[0], *options)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


def test_documents_are_handed_in_and_each_answer_gets_a_file(
    files: list[str], told: Told, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run("documents", *files, "--sentences", "2", "--out", str(out), "--yes")
    assert done.exit_code == 0, done.output
    (body,) = told.handed_in
    assert (body["operation"], body["sentences"]) == ("summarize", 2)
    assert [one["name"] for one in body["documents"]] == ["a.txt", "b.pdf", "deep/a.txt"]
    assert (out / "a.txt.md").read_text() == "About a.txt.\n"
    assert (out / "deep/a.txt.md").read_text() == "About deep/a.txt.\n"
    summary = json.loads((out / "documents.json").read_text())
    assert summary["batches"] == ["b1"]
    assert summary["actual"] == {"input_tokens": 240, "output_tokens": 120, "cost_usd": "0.002"}
    assert summary["estimate"]["input_tokens"] > 0
    assert [entry["file"] for entry in summary["documents"]] == [
        "a.txt.md",
        "b.pdf.md",
        "deep/a.txt.md",
    ]
    assert "About" not in json.dumps(summary)
    assert "3 done" in done.output
    assert "off by" in done.output


def test_nothing_is_handed_in_that_was_not_agreed_to(
    files: list[str], told: Told, tmp_path: Path
) -> None:
    done = run("documents", *files, "--out", str(tmp_path / "out"), stdin="n\n")
    assert done.exit_code == 1
    assert "Submit the documents?" in done.output
    assert told.handed_in == []


def test_data_is_written_as_json_and_what_failed_is_said(
    files: list[str], told: Told, tmp_path: Path
) -> None:
    told.operation = "classify"
    out = tmp_path / "out"
    told.items["old"] = [
        result(0, "a.txt", answer="finance", votes={"finance": 10}),
        result(1, "b.txt", answer=None, failure={"code": "model_refused", "message": "no"}),
        {"index": 2, "rejected": {"code": "encrypted", "message": "the file is encrypted"}},
        {"index": 3, "dead": {"reason": "gateway"}},
        result(4, "../../etc/passwd"),
        result(5, "c.txt", answer=None, answer_url="http://long/answer"),
    ]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Service, "fetch", lambda _self, url: f"from {url}")
        done = run("documents", "--resume", "old", "--out", str(out))
    assert done.exit_code == 1
    assert told.posted == []
    assert json.loads((out / "a.txt.json").read_text()) == "finance"
    assert json.loads((out / "old-4.json").read_text()) == "About ../../etc/passwd."
    assert json.loads((out / "c.txt.json").read_text()) == "from http://long/answer"
    states = [one["state"] for one in json.loads((out / "documents.json").read_text())["documents"]]
    assert states == ["done", "failed", "rejected", "dead", "done", "done"]
    assert "3 done, 1 failed, 1 rejected, 1 dead" in done.output
    for reason in ("b.txt: failed: no", "2: rejected: the file is encrypted", "3: dead: gateway"):
        assert reason in done.output


def test_interrupted_it_says_how_to_go_on(files: list[str], told: Told, tmp_path: Path) -> None:
    told.interrupt = True
    out = str(tmp_path / "out")
    stopped = run("documents", *files, "--out", out, "--yes")
    assert stopped.exit_code == 130
    assert "--resume b1" in stopped.output
    told.interrupt = False
    assert run("documents", "--resume", "b1", "--out", out).exit_code == 0
    assert len(told.handed_in) == 1
    assert (tmp_path / "out" / "b.pdf.md").exists()


def test_more_than_a_request_takes_is_several_batches_and_a_large_file_an_upload(
    tmp_path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "INLINE_ITEMS", 2)
    monkeypatch.setattr(documents, "UPLOADED_BYTES", 1_000)
    paths = [tmp_path / f"{number}.txt" for number in range(5)]
    for path in paths:
        path.write_text(SENTENCE)
    paths[3].write_text(SENTENCE * 100)
    out = tmp_path / "out"
    done = run("documents", *map(str, paths), "--out", str(out), "--yes")
    assert done.exit_code == 0, done.output
    assert [len(body["documents"]) for body in told.handed_in] == [2, 2, 1]
    large = told.handed_in[1]["documents"][1]
    assert set(large) == {"name", "upload"}
    assert told.uploaded == [(SENTENCE * 100).encode()]
    assert len(list(out.glob("*.md"))) == 5


def test_a_poisoned_file_is_left_out_and_the_others_go_in(
    files: list[str], told: Told, tmp_path: Path
) -> None:
    bomb = Path(files[0]).with_name("bomb.pdf")
    bomb.write_bytes(pdf_bomb())
    out = tmp_path / "out"
    done = run("documents", *files, str(bomb), "--out", str(out), "--yes")
    assert done.exit_code == 1
    assert len(told.handed_in[0]["documents"]) == 3
    (*_, last) = json.loads((out / "documents.json").read_text())["documents"]
    assert (last["name"], last["reason"]["code"]) == ("bomb.pdf", "too_complex")


def test_an_estimate_names_the_files_it_leaves_out_and_is_incomplete(files: list[str]) -> None:
    old = Path(files[0]).with_name("old.doc")
    old.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    done = run("estimate", *files, str(old), "--operation", "summarize", "--json")
    assert done.exit_code == 1
    (left_out,) = json.loads(done.stdout)["unreadable"]
    assert (left_out["name"], left_out["code"]) == ("old.doc", "unsupported_type")


def test_interrupted_before_anything_is_handed_in_it_says_so(
    files: list[str], told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "read", interrupted)
    stopped = run("documents", *files, "--out", str(tmp_path / "out"), "--yes")
    assert stopped.exit_code == 130
    assert "Nothing was submitted." in stopped.output
    assert "--resume" not in stopped.output


def test_json_is_the_summary_on_standard_output(
    files: list[str], told: Told, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = run("documents", *files, "--out", str(out), "--yes", "--json")
    assert json.loads(done.stdout) == json.loads((out / "documents.json").read_text())


def test_no_files_and_no_batch_is_a_usage_error(told: Told, tmp_path: Path) -> None:
    assert run("documents", "--out", str(tmp_path / "out")).exit_code == 2
    assert told.posted == []


def test_a_batch_of_verdicts_is_not_taken_for_documents(told: Told, tmp_path: Path) -> None:
    told.items["verdicts"] = []
    told.operation = None  # type: ignore[assignment] # as a batch of verdicts has it
    done = run("documents", "--resume", "verdicts", "--out", str(tmp_path / "out"))
    assert done.exit_code == 2
    assert "batch of contents" in done.output
