"""`quorum record`: a panel's voters over labelled texts."""

import csv
import json
from pathlib import Path

import httpx
import pytest
from quorum.core.models import Category
from quorum.vote.policy import Policy
from typer.testing import CliRunner

from cli import policy as policy_command
from cli.app import app
from cli.service import Service
from fakes.gateway import RecordedVotes, Scenario, running
from tests.unit.test_model_entry import LEAST

TEXTS = [
    ("en", "Thank you for the lovely evening.", "safe"),
    ("", "You are a worthless idiot and everybody here hates you.", "unsafe"),
    ("", "안녕하세요, 좋은 아침입니다!", "safe"),
]


def write(path: Path, *, gold: str = "gold") -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["language", "text", gold])
        writer.writerows(TEXTS)
    return path


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_embedded_voters_vote_in_this_process_and_the_panel_decides(tmp_path: Path) -> None:
    out = tmp_path / "votes.csv"
    texts = write(tmp_path / "texts.csv", gold="label")
    done = CliRunner().invoke(app, ["record", str(texts), "--out", str(out)])
    assert done.exit_code == 0, done.output
    rows = read(out)
    assert [row["text"] for row in rows] == [text for _, text, _ in TEXTS]
    assert [row["language"] for row in rows] == ["en", "en", "ko"]
    assert [row["panel"] for row in rows] == ["safe", "unsafe", "safe"]
    assert [row["gold"] for row in rows] == ["safe", "unsafe", "safe"]
    assert float(rows[0]["panel.score"]) < float(rows[1]["panel.score"])
    assert rows[0]["rules"] == ""
    assert rows[1]["meaning"] == "unsafe"
    assert 0.5 <= float(rows[1]["meaning.confidence"]) <= 1


def test_a_row_in_disguise_is_read_in_the_language_it_shows(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.csv", tmp_path / "votes.csv"
    disguised = "Тhаnk уоu fоr thе lоvеlу еvеning аt thе lаkе"  # Cyrillic letters among Latin ones
    texts.write_text(f"text,gold\n{disguised},safe\n", encoding="utf-8")
    done = CliRunner().invoke(app, ["record", str(texts), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert [row["language"] for row in read(out)] == ["en"]


@pytest.mark.parametrize("packed", [1, 3])
def test_gateway_voters_vote_through_the_client(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: int
) -> None:
    out = tmp_path / "votes.csv"
    recorded = RecordedVotes(
        {text: {"gemini-2.5-flash": gold, "gpt-4.1": gold} for _, text, gold in TEXTS}
    )
    with running(Scenario(missing_models=("deepseek-v3.2",)), recorded=recorded) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        monkeypatch.setenv("GATEWAY_API_KEY", "sk-stand-in")
        arguments = ["record", str(write(tmp_path / "texts.csv")), "--out", str(out)]
        done = CliRunner().invoke(app, [*arguments, "--panel", "default", "--packed", str(packed)])
    assert done.exit_code == 0, done.output
    rows = {row["text"]: row["gpt-4.1"] for row in read(out)}
    assert rows == {text: gold for _, text, gold in TEXTS}
    assert {row["deepseek-v3.2"] for row in read(out)} == {""}


MILD = {
    "instructions": "Mild profanity is fine.",
    "categories": {str(name): {"action": "ignore"} for name in Category},
}
OWN = {
    "name": "own",
    "rounds": [["mine"]],
    "stop": "all",
    "quorum": 1,
    "rule": {"kind": "majority"},
}


@pytest.mark.parametrize("own", [True, False], ids=["its own server", "the gateway"])
def test_a_model_put_as_data_votes_by_its_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    texts, out = write(tmp_path / "texts.csv"), tmp_path / "votes.csv"
    (tmp_path / "panel.json").write_text(json.dumps(OWN), encoding="utf-8")
    recorded = RecordedVotes({text: {"gpt-4.1": gold} for _, text, gold in TEXTS})
    with running(Scenario(keys={"sk-mine": "me"}), recorded=recorded) as stand_in:
        server = {"base_url": stand_in.base_url, "key": "mine"} if own else {}
        entry = LEAST | {"gateway_name": "gpt-4.1", "reply_format": "json_schema"} | server
        (tmp_path / "mine.json").write_text(json.dumps(entry), encoding="utf-8")
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        monkeypatch.setenv("GATEWAY_API_KEY", "sk-another" if own else "sk-mine")
        arguments = ["--panel", str(tmp_path / "panel.json"), "--out", str(out)]
        command = ["record", str(texts), *arguments]
        assert CliRunner().invoke(app, command).exit_code == 2
        command += ["--model", f"mine={tmp_path / 'mine.json'}"]
        if own:
            assert "MODEL_API_KEYS" in CliRunner().invoke(app, command).output
            monkeypatch.setenv("MODEL_API_KEYS", json.dumps({"mine": "sk-mine"}))
        done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert [row["mine"] for row in read(out)] == ["safe", "unsafe", "safe"]


def test_votes_are_recorded_as_they_count_under_a_policy_that_is_named_in_its_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts, out = write(tmp_path / "texts.csv"), tmp_path / "votes.csv"
    file = tmp_path / "mild.json"
    file.write_text(json.dumps(MILD), encoding="utf-8")
    policy = Policy.model_validate({"name": "mild"} | MILD)
    recorded = RecordedVotes({text: {"gpt-4.1": gold} for _, text, gold in TEXTS})
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        view = {"name": "mild", "version": "0123456789ab", "source": "tenant", "in_force": True}
        return httpx.Response(200, json=view | {"policy": MILD, "history": [], "shadow": None})

    service = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(policy_command, "connect", lambda _where: service)
    with running(Scenario(), recorded=recorded) as stand_in:
        monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
        monkeypatch.setenv("GATEWAY_API_KEY", "sk-stand-in")
        command = ["record", str(texts), "--out", str(out), "--panel", "default", "--policy"]
        done = CliRunner().invoke(app, [*command, str(file)])
        assert done.exit_code == 0, done.output
        rows = read(out)
        told = [message["content"] for body in stand_in.bodies for message in body["messages"]]
        assert asked == []
        assert CliRunner().invoke(app, [*command, "mild"]).exit_code == 0
        assert asked == ["/v1/policies/mild"]
    assert any("Mild profanity is fine." in one for one in told)
    assert [row["gpt-4.1"] for row in rows] == ["safe", "safe", "safe"]
    assert {row["policy"] for row in rows} == {f"mild@{policy.version}"}
    assert {row["policy"] for row in read(out)} == {"mild@0123456789ab"}


def test_a_policy_that_the_panel_cannot_judge_under_is_refused_before_anybody_votes(
    tmp_path: Path,
) -> None:
    texts, file = write(tmp_path / "texts.csv"), tmp_path / "mild.json"
    file.write_text(json.dumps(MILD), encoding="utf-8")
    out = tmp_path / "votes.csv"
    done = CliRunner().invoke(app, ["record", str(texts), "--out", str(out), "--policy", str(file)])
    assert done.exit_code == 2
    assert "no voter on embedded" in " ".join(done.output.split())
    assert not out.exists()


def test_a_panel_file_is_taken_and_a_bad_one_is_refused_by_field(tmp_path: Path) -> None:
    texts, panel = write(tmp_path / "texts.csv"), tmp_path / "panel.json"
    panel.write_text(json.dumps({"name": "bad", "rounds": []}), encoding="utf-8")
    arguments = ["record", str(texts), "--out", str(tmp_path / "o.csv"), "--panel", str(panel)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "rounds" in done.output


def test_a_file_without_labels_is_refused(tmp_path: Path) -> None:
    texts = write(tmp_path / "texts.csv", gold="something")
    done = CliRunner().invoke(app, ["record", str(texts), "--out", str(tmp_path / "o.csv")])
    assert done.exit_code == 2
    assert "gold" in done.output
