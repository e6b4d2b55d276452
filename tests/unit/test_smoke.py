"""`quorum smoke` against a deployment that a transport and a connection play."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest
from quorum.document.answering import Failure
from quorum.document.operations import Operation
from quorum.routes.batches import SettledDocument
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.policy import DEFAULT
from typer.testing import CliRunner
from websockets.exceptions import InvalidUpgrade

from cli import chat, smoke
from cli.app import app
from cli.service import Service
from cli.smoke import TEXTS
from tests import make

WHERE = ("--where", "https://quorum.example/v1", "--chat", "wss://chat.example/v1", "--yes")
VOTE = {
    "kind": "vote",
    "voter": "gpt-4.1-nano",
    "decision": "safe",
    "confidence": 0.9,
    "cost_usd": "0.000101",
}
ABSTENTION = {"kind": "abstention", "voter": "gpt-4.1-nano", "reason": "refused"}
PRICE = Decimal("0.000101")
DOCUMENT = SettledDocument(
    operation=Operation.SUMMARIZE,
    model="gpt-4.1-nano",
    answer="The library opens earlier.",
    cost_usd=PRICE,
    created_at=datetime(2026, 11, 27, tzinfo=UTC),
    answer_url=None,
)
"""A document as the API answers it."""
WAYS = [
    *("verdict", "moderations", "comments:analyze", "batch of 20", "document"),
    *("chat over HTTP", "chat over WebSocket", "costs"),
]


class Deployment:
    """A deployment that answers every way in; what is in `broken` answers 503 or worse."""

    def __init__(self) -> None:
        self.broken: dict[str, httpx.Response] = {}
        self.votes: list[dict[str, Any]] = [VOTE]
        self.asked: list[str] = []
        self.panels: list[str | None] = []
        self.booked = Decimal("1.5")
        self.forgets = False
        self.document = DOCUMENT.model_dump(mode="json")
        self.sizes: dict[str, int] = {}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1/")
        body = json.loads(request.content) if request.content else {}
        for name, answer in self.broken.items():
            if path.startswith(name):
                return answer
        if request.method == "POST":
            self.panels.append(
                body.get("panel") or body.get("model") or request.url.params.get("panel")
            )
        kind = f"{request.method} {re.sub('/(v1|b1|d1)', '/ID', path)}"
        answers: dict[str, Callable[[str, Any], Any]] = {
            "POST verdicts": lambda _, body: self._verdict(body["content"]),
            "GET verdicts/ID": lambda _, __: self._stored(),
            "POST moderations": lambda _, body: {
                "results": [{"quorum": self._told(body["input"])}]
            },
            "POST v1alpha1/comments:analyze": lambda _, body: {
                "quorum": self._told(body["comment"]["text"])
            },
            "POST batches": lambda _, body: self._submitted("b1", body),
            "POST documents": lambda _, body: self._submitted("d1", body),
            "GET batches/ID": lambda path, _: self._progress(path.split("/")[1]),
            "GET batches/ID/results": lambda path, _: self._results(path.split("/")[1]),
            "GET costs": lambda _, __: {"totals": {"cost_usd": f"{self.booked}"}},
            "POST chat/completions": lambda _, body: self._events(body["messages"][0]["content"]),
        }
        told = answers[kind](path, body)
        return httpx.Response(200, **{"text" if isinstance(told, str) else "json": told})

    def _pay(self, *texts: str) -> None:
        self.asked += texts
        if not self.forgets:
            self.booked += PRICE * len(texts)

    def _stored(self) -> dict[str, Any]:
        verdict = conclude_without_votes(make.evaluation(), "nobody", DEFAULT, now=make.NOW)
        told = verdict.model_dump(mode="json") | {"cost_usd": str(PRICE), "votes": self.votes}
        return told | {"decision": "safe"}

    def _verdict(self, text: str) -> dict[str, Any]:
        self._pay(text)
        return self._stored()

    def _submitted(self, batch: str, body: dict[str, Any]) -> dict[str, Any]:
        items = body.get("items") or body["documents"]
        self.sizes[batch] = len(items)
        self._pay(*(item.get("content") or item["text"] for item in items))
        return {"id": batch}

    def _told(self, text: str) -> dict[str, Any]:
        self._pay(text)
        return {"verdict_id": "v1", "cost_usd": str(PRICE), "decision": "safe"}

    def _progress(self, batch: str) -> dict[str, Any]:
        count = self.sizes.get(batch, 1)
        return dict.fromkeys(("rejected", "dead", "pending", "cancelled"), 0) | {
            "id": batch,
            "state": "complete",
            "items": count,
            "settled": count,
            "cost_usd": str(PRICE * count),
            "saved_usd": "0",
        }

    def _results(self, batch: str) -> dict[str, Any]:
        documents = [{"index": 0, "document": self.document}]
        verdicts = [{"index": n, "verdict": self._stored()} for n in range(len(TEXTS))]
        return {"items": verdicts if batch == "b1" else documents, "next": None}

    def _events(self, prompt: str) -> str:
        self._pay(prompt)
        choice = {"delta": {"content": "Hello!"}, "finish_reason": "stop"}
        chunks = [{"choices": [choice]}, {"choices": [], "cost_usd": str(PRICE)}]
        return "".join(f"data: {json.dumps(one)}\n\n" for one in chunks) + "data: [DONE]\n\n"


class Connection:
    """A chat that answers each prompt with two tokens."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.messages: list[dict[str, Any]] = []

    def send(self, frames: Iterator[str]) -> None:
        asked = json.loads("".join(frames))
        self.deployment._pay(asked["prompt"])  # noqa: SLF001 they are one
        usage = {"usage": {"total_tokens": 9}, "cost_estimated": False, "cost_usd": str(PRICE)}
        told = [{"type": "token", "index": n, "content": "Hi"} for n in range(2)]
        told.append({"type": "complete", "model": "gpt-4.1-nano", **usage})
        self.messages = [one | {"request_id": asked["request_id"]} for one in told]

    def recv(self, timeout: float) -> str:
        assert timeout > 0
        return json.dumps(self.messages.pop(0))


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    played = Deployment()

    def opened(url: str, key: str) -> Service:
        return Service(url, key, transport=httpx.MockTransport(played), pause_seconds=0)

    @contextmanager
    def connected(*_: Any, **__: Any) -> Iterator[Connection]:
        yield Connection(played)

    monkeypatch.setenv("QUORUM_API_KEY", "qk_one")
    monkeypatch.setattr(smoke, "Service", opened)
    monkeypatch.setattr(chat, "connect", connected)
    return played


def run(*arguments: str, columns: int = 80) -> Any:
    return CliRunner().invoke(app, ["smoke", *arguments], env={"COLUMNS": str(columns)})


def ways(*arguments: str) -> dict[str, dict[str, Any]]:
    told = json.loads(run(*WHERE, "--json", *arguments).stdout)
    return {way.pop("way"): way for way in told["ways"]}


def test_every_way_in_is_asked_once_and_the_total_is_exact(deployment: Deployment) -> None:
    done = run(*WHERE, "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [(way["way"], way["result"]) for way in told["ways"]] == [(way, "ok") for way in WAYS]
    assert Decimal(told["total_cost_usd"]) == PRICE * (3 + 20 + 1 + 2)
    assert len(deployment.asked) == 26


def test_no_two_texts_are_the_same_so_that_no_cache_answers(deployment: Deployment) -> None:
    run(*WHERE)
    first = set(deployment.asked)
    assert len(first) == 26
    deployment.asked.clear()
    run(*WHERE)
    assert not first & set(deployment.asked)


def test_the_table_fits_eighty_columns_and_shows_each_way_and_the_total(
    deployment: Deployment,
) -> None:
    deployment.broken = {"documents": httpx.Response(503, json={"error": {"message": "x " * 60}})}
    done = run(*WHERE)
    assert done.exit_code == 1
    assert max(map(len, done.stdout.splitlines())) <= 80
    for shown in (*WAYS, "7 ok, 1 failed", "$0.002525", "$0.00202"):
        assert shown in done.stdout
    assert "A wider terminal" not in done.stdout


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("verdicts", "verdict"),
        ("moderations", "moderations"),
        ("v1alpha1", "comments:analyze"),
        ("batches/b1", "batch of 20"),
        ("documents", "document"),
        ("chat", "chat over HTTP"),
        ("costs", "costs"),
    ],
)
def test_it_goes_on_after_a_failure_and_exits_with_1(
    deployment: Deployment, path: str, way: str
) -> None:
    deployment.broken = {path: httpx.Response(503, json={"error": {"message": "away"}})}
    told = ways()
    assert list(told) == WAYS
    assert told[way]["result"] == "failed"
    assert "away" in told[way]["note"]
    also = {"moderations", "comments:analyze"} if path == "verdicts" else set()
    assert {name for name, one in told.items() if one["result"] == "failed"} == {way} | also
    assert run(*WHERE).exit_code == 1


def test_a_verdict_without_any_vote_is_a_failure_with_the_reason_and_its_cost(
    deployment: Deployment,
) -> None:
    deployment.votes = [ABSTENTION]
    told = ways()
    failed = [name for name, one in told.items() if one["result"] == "failed"]
    assert failed == ["verdict", "moderations", "comments:analyze", "batch of 20"]
    assert told["verdict"]["note"] == "no voter has voted (gpt-4.1-nano: refused)"
    assert told["verdict"]["cost_usd"] == str(PRICE)
    assert told["batch of 20"]["note"] == "20 of 20 texts have no vote"


def test_a_document_without_an_answer_is_a_failure_with_the_reason(deployment: Deployment) -> None:
    failure = Failure(code="answer_invalid", message="it is no summary").model_dump()
    deployment.document = deployment.document | {"answer": None, "failure": failure}
    told = ways()
    assert [name for name, one in told.items() if one["result"] == "failed"] == ["document"]
    assert told["document"]["note"] == "the document has no answer (it is no summary)"
    assert told["document"]["cost_usd"] == str(PRICE)


def test_costs_that_were_not_booked_are_a_failure(deployment: Deployment) -> None:
    deployment.forgets = True
    told = ways()
    assert [name for name, one in told.items() if one["result"] == "failed"] == ["costs"]
    assert told["costs"]["note"] == "the answers cost $0.002626, but only free was booked"


def test_an_answer_of_another_service_is_a_failure(deployment: Deployment) -> None:
    deployment.broken = {"moderations": httpx.Response(200, json={"results": [{}]})}
    assert "is not Quorum's" in ways()["moderations"]["note"]


def test_a_batch_that_does_not_end_is_a_failure(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = deployment._progress("d1") | {"state": "running"}  # noqa: SLF001 the same form
    deployment.broken = {"batches/b1": httpx.Response(200, json=running)}
    clock = iter(range(0, 100_000, 10))
    monkeypatch.setattr("cli.smoke.time.monotonic", lambda: next(clock))
    told = ways("--seconds", "60")
    assert told["batch of 20"]["note"] == "batch b1 is still running after 60 s"
    assert told["document"]["result"] == "ok"


def test_without_its_address_the_chat_is_not_tried_and_the_table_says_so(
    deployment: Deployment,
) -> None:
    done = run("--where", "https://quorum.example/v1", "--yes")
    assert done.exit_code == 0
    assert "not tried" in done.stdout
    assert "--chat" in done.stdout
    assert len(deployment.asked) == 25


def test_a_chat_that_does_not_speak_as_one_is_a_failure_of_that_way_alone(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def connected(*_: Any, **__: Any) -> Iterator[Connection]:
        yield Connection(deployment)
        raise InvalidUpgrade("Upgrade", "h2c")

    monkeypatch.setattr(chat, "connect", connected)
    told = ways()
    failed = [name for name, one in told.items() if one["result"] == "failed"]
    assert failed == ["chat over WebSocket"]


def test_the_panel_and_the_model_are_passed_on(deployment: Deployment) -> None:
    assert run(*WHERE, "--panel", "economy", "--model", "gpt-4.1").exit_code == 0
    assert deployment.panels == ["economy"] * 4 + ["gpt-4.1"] * 2


def test_nothing_is_asked_before_the_spending_is_agreed_to(deployment: Deployment) -> None:
    refused = CliRunner().invoke(app, ["smoke", *WHERE[:-1]], input="n\n")
    assert refused.exit_code == 1
    assert "23 verdicts, one document and two chat answers" in " ".join(refused.stderr.split())
    assert deployment.asked == []
    agreed = CliRunner().invoke(app, ["smoke", *WHERE[:-1]], input="y\n")
    assert agreed.exit_code == 0
    assert deployment.asked


def test_the_embedded_panel_calls_its_texts_safe_so_that_no_person_has_to() -> None:
    from quorum_moderator import Moderator  # noqa: PLC0415 - its weights take a second

    with Moderator(panel="embedded") as moderator:
        judged = [moderator.moderate(text.format(n=123_456)) for text in TEXTS]
    unheard = [verdict for verdict in judged if not any(v.kind == "vote" for v in verdict.votes)]
    assert not unheard
    assert {str(verdict.decision) for verdict in judged} == {"safe"}
