"""`quorum policy`: its requests and its output."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from quorum.vote.policy import Policy
from typer.testing import CliRunner

from cli import policy
from cli.app import app
from cli.service import Service

DOCUMENT: dict[str, Any] = {"instructions": "Players may curse."}
GAMING = Policy.model_validate({"name": "gaming"} | DOCUMENT)
VIEW: dict[str, Any] = {
    "name": "gaming",
    "version": GAMING.version,
    "source": "tenant",
    "in_force": True,
    "policy": DOCUMENT,
    "history": [{"version": GAMING.version, "at": "2026-11-01T12:00:00Z", "by": "ada"}],
    "shadow": {
        "policy": "next",
        "at": "2026-11-02T12:00:00Z",
        "by": "bob",
        "comparison": {
            "policy": f"gaming@{GAMING.version}",
            "shadow": "next@000000000000",
            "judged": 3480,
            "changed": 12,
            "changes": {"safe → unsafe": 12},
            "cost_usd": "0.5",
        },
    },
}
TRIAL: dict[str, Any] = {
    "before": "default@000000000000",
    "after": f"gaming@{GAMING.version}",
    "changed": 1,
    "tried": [
        {"index": 0, "before": "unsafe", "after": "safe", "changed": True, "reason": "3 say safe"},
        {"verdict_id": "v1", "skipped": "there is no such verdict"},
    ],
    "cost_usd": "0.003",
    "per_thousand_usd_before": "1.5",
    "per_thousand_usd_after": "2",
}


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[httpx.Request]:
    """The requests that commands send to a deployment with one policy."""
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        if request.url.path.endswith("/try"):
            return httpx.Response(200, json=TRIAL)
        if request.url.path.endswith("/shadow") and request.method == "DELETE":
            return httpx.Response(200, json={key: VIEW[key] for key in VIEW if key != "shadow"})
        if request.url.path.endswith("/policies"):
            shown = {name: VIEW[name] for name in ("name", "version", "source")}
            return httpx.Response(200, json={"policies": [shown]})
        plain = request.method != "GET" and not request.url.path.endswith("/shadow")
        shown = {key: VIEW[key] for key in VIEW if not (plain and key == "shadow")}
        return httpx.Response(200, json=shown)

    service = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(policy, "connect", lambda _where, **_rights: service)
    return requests


def run(*arguments: str, **more: Any) -> Any:
    return CliRunner().invoke(app, ["policy", *arguments], **more)


def test_a_file_is_put_in_force(sent: list[httpx.Request], tmp_path: Path) -> None:
    file = tmp_path / "gaming.json"
    file.write_text(json.dumps(DOCUMENT))
    ran = run("put", "gaming", str(file), "--if-match", "*")
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == f"gaming {GAMING.version} is in force.\n"
    (request,) = sent
    assert (request.method, request.url.path) == ("PUT", "/v1/policies/gaming")
    assert json.loads(request.content) == DOCUMENT
    assert request.headers["if-match"] == "*"


def test_an_earlier_version_is_put_again(sent: list[httpx.Request]) -> None:
    ran = run("put", "gaming", "--version", GAMING.version)
    assert ran.exit_code == 0, ran.output
    reading, putting = sent
    assert dict(reading.url.params) == {"version": GAMING.version}
    assert json.loads(putting.content) == DOCUMENT


def test_a_deleted_policy_is_shown_and_put_again_as_it_was_last(
    sent: list[httpx.Request],
) -> None:
    ran = run("delete", "gaming")
    assert f"quorum policy put gaming --version {GAMING.version}" in ran.stderr
    assert run("get", "gaming", "--version", "last").exit_code == 0
    assert run("put", "gaming", "--version", "last").exit_code == 0
    last = {"version": "last"}
    assert [dict(one.url.params) for one in sent] == [{}, last, last, {}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"instructions": ""}', "instructions: "),
        ('{"mode": "enforce", "mode": "detect_only"}', "mode stands twice in one object"),
        ('{"categories": {"gambling": {}}}', "categories.gambling.definition: is needed"),
    ],
)
def test_a_file_that_is_no_policy_is_not_sent(
    sent: list[httpx.Request], text: str, said: str
) -> None:
    ran = run("put", "gaming", "-", input=text)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.split())
    assert sent == []


def test_a_policy_is_written_as_put_reads_it(sent: list[httpx.Request], tmp_path: Path) -> None:
    out = tmp_path / "gaming.json"
    ran = run("get", "gaming", "--out", str(out))
    assert ran.exit_code == 0, ran.output
    assert policy.load("gaming", out) == DOCUMENT
    assert f"gaming {GAMING.version} (tenant), in force" in ran.stderr
    assert f"2026-11-01 12:00 ada: {GAMING.version}" in ran.stderr
    assert len(sent) == 1


def test_policies_are_listed(sent: list[httpx.Request]) -> None:
    ran = run("list", "--json")
    assert json.loads(ran.stdout)["policies"][0]["version"] == GAMING.version
    assert GAMING.version in run("list").stdout
    assert len(sent) == 2


def test_a_difference_is_shown_line_by_line(sent: list[httpx.Request]) -> None:
    ran = run("diff", "gaming", "-", input=json.dumps({"instructions": "Nobody may curse."}))
    assert ran.exit_code == 1
    assert '-  "instructions": "Players may curse."' in ran.stdout
    assert '+  "instructions": "Nobody may curse."' in ran.stdout
    assert run("diff", "gaming", "-", input=json.dumps(DOCUMENT)).exit_code == 0
    assert len(sent) == 2


def test_a_policy_that_is_not_in_force_is_compared_with_the_one_that_judges_in_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/policies/default"):
            return httpx.Response(200, json=VIEW | {"name": "default"})
        return httpx.Response(404, json={"error": {"code": "policy_not_found", "message": "none"}})

    service = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(policy, "connect", lambda _where, **_rights: service)
    new = json.dumps({"instructions": "Nobody may curse."})
    ran = run("diff", "gaming", "-", input=new)
    assert ran.exit_code == 1
    assert "--- default" in ran.stdout
    assert '+  "instructions": "Nobody may curse."' in ran.stdout
    ran = run("diff", "gaming", "-", "--version", "000000000000", input=new)
    assert (ran.exit_code, "Nobody" in ran.stdout) == (1, False)


def test_a_policy_is_deleted(sent: list[httpx.Request]) -> None:
    ran = run("delete", "gaming")
    assert ran.stdout == f"gaming {GAMING.version} is no longer in force.\n"
    assert sent[0].method == "DELETE"


def test_a_trial_shows_what_changes_and_what_it_costs(
    sent: list[httpx.Request], tmp_path: Path
) -> None:
    file = tmp_path / "gaming.json"
    file.write_text(json.dumps(DOCUMENT))
    ran = run("try", "gaming", str(file), "-", "--verdict", "v1", input="damn\n\n")
    assert ran.exit_code == 0, ran.output
    (request,) = sent
    assert json.loads(request.content) == {
        "policy": DOCUMENT,
        "texts": ["damn"],
        "verdict_ids": ["v1"],
    }
    assert "3 say safe" in ran.stdout
    assert "there is no such verdict" in ran.stdout
    said = " ".join(ran.stderr.split())
    assert "1 of 2 would change" in said
    assert "1,000 such texts: $1.5 before, $2 after" in said
    assert "the trial cost $0.003" in said


def test_a_shadow_is_put_shown_and_removed(sent: list[httpx.Request]) -> None:
    done = run("shadow", "gaming", "next")
    assert done.exit_code == 0, done.output
    assert (sent[-1].method, sent[-1].url.path) == ("PUT", "/v1/policies/gaming/shadow")
    assert json.loads(sent[-1].content) == {"policy": "next"}
    shown = run("shadow", "gaming")
    assert (sent[-1].method, sent[-1].url.path) == ("GET", "/v1/policies/gaming")
    assert "next judges beside gaming (bob, 2026-11-02 12:00)." in shown.stdout
    assert "12 of 3,480 verdicts change" in shown.stdout
    assert "its own votes cost $0.5" in shown.stdout
    assert "safe → unsafe: 12" in shown.stdout
    assert json.loads(run("shadow", "gaming", "--json").stdout)["comparison"]["judged"] == 3480
    assert run("shadow", "gaming", "--off").stdout == "gaming has no shadow.\n"
    assert sent[-1].method == "DELETE"
    assert run("shadow", "gaming", "next", "--off").exit_code == 2
