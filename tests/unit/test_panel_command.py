"""`quorum panel put` and `get`: panels as they are deployed, checked and shown."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from quorum.vote import panel
from quorum.vote.panels import Panels
from quorum.vote.policies import Policies, PolicyVersions
from quorum.vote.policy import Policy
from typer.testing import CliRunner

from cli import deployment
from cli import panel as panel_command
from cli.app import app
from cli.service import Service
from tests.functions.conftest import make_tables


@pytest.fixture
def ssm(account: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """SSM of a deployment whose default panel is `default`, with its tables."""
    make_tables(account)
    outputs = {name: name for name in ("PoliciesTable", "ModelsTable")}
    monkeypatch.setattr(deployment, "outputs_of", lambda _where: outputs)
    monkeypatch.setattr(deployment, "default_panel", lambda _where: "default")
    return boto3.client("ssm")


def put(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["panel", "put", *arguments], env={"COLUMNS": "200"})


def test_a_panel_put_for_everybody_for_a_tenant_and_as_a_shadow_is_the_one_that_judges(
    ssm: Any, tmp_path: Path
) -> None:
    own = tmp_path / "own.json"
    own.write_text(json.dumps(panel.packaged("default").document() | {"quorum": 3}))
    assert put("economy", "--where", "prod").exit_code == 0
    assert put(str(own), "--where", "prod", "--tenant", "acme").exit_code == 0
    assert put("embedded", "--where", "prod", "--shadow", "economy").exit_code == 0
    panels = Panels(ssm, "/quorum-prod", seconds=60)
    assert panels.effective("acme", "economy") == (panel.packaged("economy"), "deployment")
    assert panels.effective("acme", "default").source == "tenant"
    assert panels.get("acme", "default").quorum == 3
    assert panels.shadow_of("acme", "economy") == panel.packaged("embedded")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quorum": 4}, "quorum: is 4"),
        ({"description": "x" * 8192}, "an SSM parameter holds 8192"),
    ],
)
def test_a_panel_that_would_be_refused_is_not_put(
    ssm: Any, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(panel.packaged("default").document() | change))
    ran = put(str(bad), "--where", "prod")
    assert ran.exit_code != 0
    assert said in ran.output
    assert ssm.describe_parameters()["Parameters"] == []


def test_a_shadow_of_one_tenant_is_refused(ssm: Any) -> None:
    ran = put("default", "--where", "prod", "--tenant", "acme", "--shadow", "default")
    assert ran.exit_code != 0
    assert "whole deployment" in ran.output


GAMING: dict[str, Any] = {"categories": {"gambling_ads": {"definition": "bets", "threshold": 0.5}}}


def in_force(account: Any, name: str, tenant: str = "acme") -> None:
    versions = PolicyVersions(account, "PoliciesTable")
    policies = Policies(account, "PoliciesTable", versions, seconds=0)
    policy = Policy.model_validate({"name": name} | GAMING)
    policies.put(tenant, policy, "ada", expected=None, now=datetime(2026, 11, 1, tzinfo=UTC))


@pytest.mark.parametrize("whose", [(), ("--tenant", "acme")])
def test_a_panel_that_cannot_judge_under_a_tenants_default_policy_is_not_put_as_the_default(
    ssm: Any, account: Any, whose: tuple[str, ...]
) -> None:
    in_force(account, "default")
    ran = put("embedded", "--where", "prod", "--name", "default", *whose)
    assert ran.exit_code == 2, ran.output
    said = " ".join(ran.output.replace("│", " ").split())
    assert "the policy default of acme is in force. categories.harassment/threatening:" in said
    assert ssm.describe_parameters()["Parameters"] == []
    ran = put("embedded", "--where", "prod", "--name", "default", "--tenant", "other")
    assert ran.exit_code == 0, ran.output
    assert "cannot judge" not in ran.output


def test_a_shadow_is_checked_as_if_it_were_in_its_panels_place(ssm: Any, account: Any) -> None:
    in_force(account, "default")
    in_force(account, "gaming", "other")
    # A tenant's own panel has the deployment's shadow beside it, too.
    assert put("default", "--where", "prod", "--tenant", "acme").exit_code == 0
    ran = put("embedded", "--where", "prod", "--shadow", "default")
    assert ran.exit_code == 2, ran.output
    said = " ".join(ran.output.replace("│", " ").split())
    assert "default: the policy default of acme is in force. categories." in said
    panels = Panels(ssm, "/quorum-prod", seconds=60)
    assert panels.shadow_of("acme", "default") is None
    ran = put("embedded", "--where", "prod", "--shadow", "economy")
    assert ran.exit_code == 0, ran.output
    assert "cannot judge under the policy gaming of other" in " ".join(ran.stderr.split())
    assert panels.shadow_of("acme", "economy") == panel.packaged("embedded")
    ran = put("economy", "--where", "prod", "--shadow", "default")
    assert ran.exit_code == 0, ran.output
    assert "cannot judge" not in ran.output


def test_a_tenant_with_a_default_panel_of_its_own_does_not_hold_up_everybody_elses(
    ssm: Any, account: Any
) -> None:
    in_force(account, "default")
    assert put("default", "--where", "prod", "--tenant", "acme").exit_code == 0
    ran = put("embedded", "--where", "prod", "--name", "default")
    assert ran.exit_code == 0, ran.output
    assert Panels(ssm, "/quorum-prod", seconds=60).effective("acme", "default").source == "tenant"


def test_a_panel_beside_another_that_can_judge_is_put_and_the_policy_is_named(
    ssm: Any, account: Any
) -> None:
    in_force(account, "gaming")
    ran = put("embedded", "--where", "prod")
    assert ran.exit_code == 0, ran.output
    assert "cannot judge under the policy gaming of acme" in " ".join(ran.stderr.split())
    for name in ("default", "economy"):
        text = json.dumps(panel.packaged("embedded").document() | {"name": name})
        ssm.put_parameter(Name=f"/quorum-prod/panels/{name}", Value=text, Type="String")
    ran = put("embedded", "--where", "prod")
    assert ran.exit_code == 2
    assert "no panel of yours" in " ".join(ran.output.replace("│", " ").split())


def test_a_panel_is_written_as_put_reads_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    document = panel.packaged("economy").document()
    facts = {"version": panel.packaged("economy").version, "source": "tenant", "calibrated": False}
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        listed = {"default_panel": "default", "policy_version": "0" * 12}
        return httpx.Response(200, json=listed | {"panels": [document | facts]})

    service = Service("http://quorum.test/v1", "qk", transport=httpx.MockTransport(answer))
    monkeypatch.setattr(panel_command, "connect", lambda _where: service)
    out = tmp_path / "economy.json"
    ran = CliRunner().invoke(app, ["panel", "get", "economy", "--out", str(out)])
    assert ran.exit_code == 0, ran.output
    assert dict(asked[0].url.params) == {"name": "economy"}
    assert json.loads(out.read_text()) == document
    assert panel.load(out.read_text()) == panel.packaged("economy")
    assert ran.stderr.split() == [
        "economy",
        facts["version"],
        "(tenant),",
        "not",
        "calibrated",
        "under",
        "your",
        "default",
        "policy",
    ]
