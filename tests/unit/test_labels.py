"""`quorum labels export`: from reviews to labels that are measured and recorded."""

import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.core.models import Decision
from quorum.vote.evaluation import conclude_round
from quorum.vote.policy import DEFAULT
from typer.testing import CliRunner

from analysis import recorded
from cli import labels
from cli.app import app
from cli.service import Service
from tests import make


def entry(number: int, content: str | None, golds: list[str], *votes: Any) -> dict[str, Any]:
    """A reviewed verdict, as the API shows it."""
    evaluation = make.evaluation(verdict_id=f"verdict-{number}", deadline=make.NOW)
    verdict = conclude_round(evaluation, votes, DEFAULT, round_number=1, now=make.NOW).verdict
    assert verdict is not None
    reviews = [
        {"decision": gold, "reviewer": "ada", "reviewed_at": "2026-11-01T12:00:00Z"}
        for gold in golds
    ]
    shown = verdict.model_dump(mode="json")
    seen = {"count": 1, "first_seen": shown["created_at"], "last_seen": shown["created_at"]}
    return {"verdict": shown, "content": content, "reviews": reviews} | seen


ENTRIES = [
    entry(
        1,
        'two\nlines, and "quotes"',
        ["safe", "unsafe"],
        make.cast("gpt-4.1", "unsafe", confidence=0.75),
        make.abstention("deepseek-v3.2"),
    ),
    entry(2, None, ["safe"], make.cast("gemini-2.5-flash", "safe")),
    entry(3, "=cmd()", ["safe"], make.cast("deepseek-v3.2", "needs_review")),
    entry(4, None, ["safe"], make.abstention("gpt-4.1")),
]


@pytest.fixture
def service() -> Service:
    """A deployment whose reviews come in pages of two; its first page names the second."""

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["x-api-key"] == "qk"
        assert request.url.path.endswith("/labels")
        if dict(request.url.params):
            return httpx.Response(200, json={"labels": ENTRIES[2:], "next": None})
        return httpx.Response(200, json={"labels": ENTRIES[:2], "next": "more"})

    return Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))


def test_reviews_are_read_page_by_page_to_the_end(service: Service) -> None:
    read = [found.verdict.id for found in labels.reviewed(service)]
    assert read == ["verdict-1", "verdict-2", "verdict-3", "verdict-4"]


def test_what_is_exported_is_what_evaluate_and_calibrate_read(
    service: Service, tmp_path: Path
) -> None:
    out = tmp_path / "labels.csv"
    labels.write(out, list(labels.reviewed(service))[:3])
    votes = recorded.read(out)
    assert votes.texts == ('two\nlines, and "quotes"', "", "=cmd()")
    assert [recorded.DECISIONS[code] for code in votes.gold] == ["unsafe", "safe", "safe"]
    assert votes.voters == ("gpt-4.1", "gemini-2.5-flash", "deepseek-v3.2")
    assert [[recorded.DECISIONS[code] for code in row] for row in votes.decisions] == [
        [Decision.UNSAFE, None, None],
        [None, Decision.SAFE, None],
        [None, None, Decision.NEEDS_REVIEW],
    ]
    assert votes.confidences[0][0] == 0.75
    assert votes.panel is not None


def test_an_export_is_for_its_owners_eyes(service: Service, tmp_path: Path) -> None:
    out = tmp_path / "labels.csv"
    labels.write(out, list(labels.reviewed(service)))
    assert stat.S_IMODE(out.stat().st_mode) == 0o600


def test_the_command_leaves_out_what_has_neither_text_nor_votes(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "connect", lambda _where, *, operator: service)
    out = tmp_path / "labels.csv"
    ran = CliRunner().invoke(app, ["labels", "export", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert len(recorded.read(out)) == 3
    assert "3 labels, 1 of them without text" in ran.stderr


SUGGESTIONS = [
    {
        "content": text,
        "language": "en",
        "decision": "unsafe",
        "scores": {"TOXICITY": 1.0},
        "policy": "default@0123456789ab",
        "verdict": verdict,
        "suggested_at": "2026-11-01T12:00:00Z",
    }
    for text, verdict in (
        ("never judged", None),
        ("judged", ENTRIES[1]["verdict"]),
        ("=cmd()", None),  # it was reviewed
    )
]


def test_suggestions_are_labels_where_they_are_wanted_and_nobody_reviewed_the_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/labels"):
            return httpx.Response(200, json={"labels": ENTRIES[2:3], "next": None})
        page = SUGGESTIONS[2:] if request.url.params.get("next") else SUGGESTIONS[:2]
        more = None if request.url.params.get("next") else "more"
        return httpx.Response(200, json={"suggestions": page, "next": more})

    found = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(labels, "connect", lambda _where, *, operator: found)
    out = tmp_path / "labels.csv"
    ran = CliRunner().invoke(app, ["labels", "export", "--suggested", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert "3 labels, 0 of them without text, 2 suggested" in ran.stderr
    votes = recorded.read(out)
    assert votes.texts == ("=cmd()", "never judged", "judged")
    assert [recorded.DECISIONS[code] for code in votes.gold] == ["safe", "unsafe", "unsafe"]
    assert set(votes.voters) == {"deepseek-v3.2", "gemini-2.5-flash"}
    assert [row.split(",")[-1] for row in out.read_text().splitlines()] == [
        *("labelled_by", "review", "suggestion", "suggestion"),
    ]


def test_one_label_is_not_called_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"labels": ENTRIES[:1], "next": None})

    one = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(labels, "connect", lambda _where, *, operator: one)
    ran = CliRunner().invoke(app, ["labels", "export", "--out", str(tmp_path / "labels.csv")])
    assert ran.stderr.strip() == "1 label, 0 of them without text"


def test_exported_labels_are_evaluated(service: Service, tmp_path: Path) -> None:
    out, figures = tmp_path / "labels.csv", tmp_path / "figures.json"
    labels.write(out, [*labels.reviewed(service)][:3])
    ran = CliRunner().invoke(
        app, ["evaluate", str(out), "--panel", "default", "--out", str(figures)]
    )
    assert ran.exit_code == 0, ran.output
    assert "overall" in figures.read_text()


def test_exported_labels_are_recorded_anew_as_far_as_they_have_a_text(
    service: Service, tmp_path: Path
) -> None:
    out, votes = tmp_path / "labels.csv", tmp_path / "votes.csv"
    labels.write(out, list(labels.reviewed(service)))
    ran = CliRunner().invoke(app, ["record", str(out), "--out", str(votes)])
    assert ran.exit_code == 0, ran.output
    again = recorded.read(votes)
    assert again.texts == ('two\nlines, and "quotes"', "=cmd()")
    assert [recorded.DECISIONS[code] for code in again.gold] == ["unsafe", "safe"]
