"""`quorum model`: its requests and its output."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.answer import listing
from quorum.aws.versions import VersionPut
from quorum.core.model_entry import ModelEntry
from quorum.core.models import Decision
from quorum.core.registry import ReplyFormat
from quorum.gateway.models import ModelEntryView
from quorum.vote.probing import ProbeReport, ReplyProbe
from typer.testing import CliRunner

from cli import model
from cli.app import app
from cli.service import Service
from tests.unit.test_model_entry import LEAST

ENTRY = ModelEntry.model_validate_json(json.dumps(LEAST))
VIEW = ModelEntryView(
    name="mine",
    version=ENTRY.version,
    in_force=True,
    entry=ENTRY.document(),
    history=(
        VersionPut(version=ENTRY.version, at=datetime(2026, 11, 2, 12, tzinfo=UTC), by="ada"),
        VersionPut(version=None, at=datetime(2026, 11, 1, 12, tzinfo=UTC), by="bob"),
    ),
)
REPORT = ProbeReport(
    name="mine",
    json_schema=False,
    json_object=True,
    votes=True,
    log_probabilities=False,
    usage=True,
    advice=("reply_format: json_object",),
    replies=(
        ReplyProbe(reply_format=ReplyFormat.JSON_SCHEMA, answered=False, problem="400: no schema"),
        ReplyProbe(
            reply_format=ReplyFormat.JSON_OBJECT,
            answered=True,
            keeps_form=True,
            vote=Decision.SAFE,
            latency_ms=321,
        ),
    ),
    cost_usd=Decimal("0.00042"),
)
SEATED = "panels use mine: tenants/acme/panels/own; put them without it first"


class Deployment:
    """A deployment with one model put as data, and the requests that it was sent."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.operators: list[bool] = []
        self.report = REPORT
        self.seated = False
        self.shows_entry = True

    def connect(self, _where: str, *, operator: bool = False) -> Service:
        self.operators.append(operator)
        transport = httpx.MockTransport(self._answer)
        return Service("http://quorum.test/v1", "qk", transport=transport)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method == "DELETE" and self.seated:
            told = {"code": "model_seated", "message": SEATED, "field": "name"}
            return httpx.Response(409, json={"error": told})
        if request.url.path == "/v1/models":
            found: Any = listing.models([ENTRY.model("mine")])
        elif request.method == "GET":
            entry_of = (lambda _name: VIEW) if self.shows_entry else None
            found = listing.model("mine", ENTRY.model, entry_of)
        elif request.method == "POST":
            found = self.report
        else:
            found = VIEW
        return httpx.Response(200, json=found.model_dump(mode="json"))

    def asked(self) -> list[tuple[str, str]]:
        """The method and path of every request."""
        return [(one.method, one.url.path) for one in self.requests]


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    found = Deployment()
    monkeypatch.setattr(model, "connect", found.connect)
    return found


def run(*arguments: str, **more: Any) -> Any:
    return CliRunner().invoke(app, ["model", *arguments], env={"COLUMNS": "160"}, **more)


def test_an_entry_is_put_in_force_by_the_operator(deployment: Deployment, tmp_path: Path) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps(LEAST))
    ran = run("put", "mine", str(file), "--if-match", ENTRY.version)
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == f"mine {ENTRY.version} is in force.\n"
    (request,) = deployment.requests
    assert deployment.asked() == [("PUT", "/v1/models/mine")]
    assert json.loads(request.content) == ENTRY.document()
    assert request.headers["if-match"] == ENTRY.version
    assert deployment.operators == [True]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not a model's entry"),
        ("{}", "gateway_name"),
        (json.dumps(LEAST | {"context_window": 5}), "context_window"),
        (json.dumps(LEAST)[:-1] + ', "context_window": 4096}', "context_window stands twice"),
    ],
)
def test_a_file_that_is_no_entry_is_not_sent(deployment: Deployment, text: str, said: str) -> None:
    ran = run("put", "mine", "-", input=text)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.split())
    assert deployment.requests == []


def test_an_entry_is_written_as_put_reads_it_with_its_history(
    deployment: Deployment, tmp_path: Path
) -> None:
    out = tmp_path / "mine.json"
    ran = run("get", "mine", "--out", str(out))
    assert ran.exit_code == 0, ran.output
    assert model.load(out) == ENTRY.document()
    assert ran.stderr.splitlines() == [
        f"mine {ENTRY.version}, in force",
        f"2026-11-02 12:00 ada: {ENTRY.version}",
        "2026-11-01 12:00 bob: deleted",
    ]
    deployment.shows_entry = False
    ran = run("get", "mine", "--out", str(out))
    assert ran.exit_code == 1
    assert "the key may not see its entry" in " ".join(ran.stderr.split())


def test_models_are_listed_with_their_prices_and_source(deployment: Deployment) -> None:
    ran = run("list")
    assert ran.exit_code == 0, ran.output
    (row,) = (line.split() for line in ran.stdout.splitlines() if line.split()[:1] == ["mine"])
    assert row[1:4] == ["deployment", "llama-3.3-70b", "yes"]
    assert row[-3:] == ["0.20", "0.60", "2026-11-01"]
    listed = json.loads(run("list", "--json").stdout)["data"]
    assert [one["id"] for one in listed if one["source"] == "deployment"] == ["mine"]
    assert deployment.operators == [False, False]


def test_a_probe_shows_each_form_of_reply_and_what_the_entry_should_say(
    deployment: Deployment,
) -> None:
    ran = run("probe", "mine")
    assert ran.exit_code == 0, ran.output
    rows = [line.split() for line in ran.stdout.splitlines()]
    assert ["json_object", "yes", "yes", "safe", "321"] in rows
    assert ["json_schema", "no", "no", "0", "400:", "no", "schema"] in rows
    assert "log-probabilities: no, usage: yes, the probe cost $0.00042" in ran.stderr
    assert "→ reply_format: json_object" in ran.stderr
    assert deployment.asked() == [("POST", "/v1/models/mine/probe")]
    assert json.loads(run("probe", "mine", "--json").stdout) == REPORT.model_dump(mode="json")


def test_a_probe_of_a_model_that_does_not_vote_ends_with_1(deployment: Deployment) -> None:
    deployment.report = REPORT.model_copy(update={"votes": False})
    assert run("probe", "mine").exit_code == 1


def test_a_model_is_deleted_unless_a_panel_seats_it(deployment: Deployment) -> None:
    ran = run("delete", "mine")
    assert (ran.exit_code, ran.stdout) == (0, f"mine {ENTRY.version} is no longer in force.\n")
    assert deployment.asked() == [("DELETE", "/v1/models/mine")]
    deployment.seated = True
    ran = run("delete", "mine")
    assert ran.exit_code == 1
    assert "panels/own" in " ".join(ran.stderr.split())
    assert deployment.operators == [True, True]
