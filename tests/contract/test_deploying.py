"""The workflow that deploys, `make deploy`, and the page about both agree with the template."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse
from typer.main import get_command

from cli.app import app
from local.release import NEEDS
from tests import template
from tests.template import ROOT

PAGE = (ROOT / "docs/deploy.md").read_text()
WORKFLOW = yaml_parse((ROOT / ".github/workflows/deploy.yml").read_text())
(JOB,) = WORKFLOW["jobs"].values()
SERVICES = {
    "ApiGateway": "API Gateway",
    "ApiGatewayV2": "API Gateway",
    "SecretsManager": "Secrets Manager",
    "WAFv2": "WAF",
}
"""Services that the page calls otherwise than the template does."""


def planned(*settings: str) -> str:
    """The commands that `make deploy` would run."""
    command = ["make", "--dry-run", "--assume-old=setup", "deploy", "RUNTIME=python3.13", *settings]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")


def steps(key: str) -> list[str]:
    return [step[key] for step in JOB["steps"] if key in step]


def test_a_deployment_is_started_by_hand_one_at_a_time_and_by_an_environment() -> None:
    triggers: Any = WORKFLOW.get("on", WORKFLOW.get(True))  # YAML 1.1 reads `on` as true
    assert list(triggers) == ["workflow_dispatch"]
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False
    assert JOB["environment"] == "prod"
    assert JOB["if"] == "github.ref == 'refs/heads/main'"


def test_only_the_job_that_deploys_may_ask_for_a_token_and_no_aws_key_is_stored() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert JOB["permissions"] == {"contents": "read", "id-token": "write"}
    (credentials,) = (one for one in JOB["steps"] if "configure-aws-credentials" in str(one))
    assert credentials["with"]["role-to-assume"] == "${{ vars.AWS_ROLE_ARN }}"
    text = (ROOT / ".github/workflows/deploy.yml").read_text()
    assert re.findall(r"secrets\.(\w+)", text) == ["QUORUM_API_KEY"]


def test_the_workflow_deploys_without_a_prompt_and_then_asks_by_each_way_in() -> None:
    deploy, smoke = steps("run")
    assert deploy.startswith("make deploy PROFILE=prod CONFIRM=no ")
    assert smoke == ".venv/bin/quorum smoke --where prod --yes"
    command: Any = get_command(app)
    options = {name for one in command.commands["smoke"].params for name in one.opts}
    assert {"--where", "--yes"} <= options


@pytest.mark.parametrize(
    ("settings", "asks"), [((), True), (("CONFIRM=yes",), True), (("CONFIRM=no",), False)]
)
def test_make_deploy_asks_before_it_deploys_unless_it_is_told_not_to(
    settings: tuple[str, ...], *, asks: bool
) -> None:
    commands = planned("PROFILE=prod", *settings)
    assert "sam deploy --config-env prod" in commands
    assert ("--no-confirm-changeset" not in commands) is asks


@pytest.mark.parametrize(
    ("settings", "given"),
    [
        (('OVERRIDES=RateLimits={"a": {"b": 1}} BudgetDayUsd=20',), None),
        ((), ""),
        (("PROFILE=prod",), "LogDays=90"),
    ],
)
def test_make_deploy_hands_over_parameters_past_the_shell(
    tmp_path: Path, settings: tuple[str, ...], given: str | None
) -> None:
    (tmp_path / "sam").write_text("#!/bin/sh\n")
    (tmp_path / "python").write_text('#!/bin/sh\n[ $1 = local.release ] && echo "$2:$OVERRIDES"')
    for stand_in in tmp_path.iterdir():
        stand_in.chmod(0o755)
    command = ["make", "--silent", "--assume-old=setup", "deploy", "RUNTIME=python3.13"]
    command += [f"RUN={tmp_path}/python", f"PATH={tmp_path}:/usr/bin:/bin", *settings]
    without = {name: value for name, value in os.environ.items() if name != "OVERRIDES"}
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, env=without
    ).stdout
    expected = settings[0].removeprefix("OVERRIDES=") if given is None else given
    assert f"prepare:{expected}\n" in done


def test_parameters_that_need_each_other_are_parameters_of_the_template() -> None:
    assert {name for pair in NEEDS for name in pair} <= template.template()["Parameters"].keys()


def test_the_page_tests_an_alarm_itself_and_none_that_undoes_a_deployment() -> None:
    tested = PAGE.split("**Alarms.**")[1].split("\n## ")[0]
    assert "aws cloudwatch set-alarm-state" in tested
    assert "aws sns publish" not in tested  # with the rights of whoever types it
    (named,) = re.findall(r"--logical-resource-id (\w+)", tested)
    alarm = template.resources("AWS::CloudWatch::Alarm")[named]
    assert alarm["AlarmActions"] == [{"Ref": "AlertsTopic"}]
    undoes = [one["DeploymentPreference"] for one in template.functions().values()]
    assert f'"{named}"' not in json.dumps(undoes)


def test_the_page_finds_the_tables_that_a_failed_first_deployment_leaves() -> None:
    roll_back, delete = (
        PAGE.split(f"## {title}")[1].split("\n## ")[0]
        for title in ("Roll back", "Delete without leftovers")
    )
    assert "DELETE_SKIPPED" in roll_back
    assert "> tables.txt" in roll_back
    assert "< tables.txt" in delete
    (pattern,) = re.findall(r"grep -E '(.+)'", roll_back)
    assert re.match(pattern, "quorum-VerdictsTable-1A2B")
    assert not re.match(pattern, "quorum-prod-VerdictsTable-1A2B")
    # deleted on a rollback, a protected table would let the rollback itself fail
    for name, block in template.template()["Resources"].items():
        if "DeletionProtectionEnabled" in block.get("Properties", {}):
            assert block["DeletionPolicy"] == "Retain", name


def test_the_page_names_every_service_that_the_stack_is_made_of() -> None:
    rights = PAGE.split("### Rights of whoever deploys")[1].split("###")[0]
    kinds = {block["Type"].split("::")[1] for block in template.template()["Resources"].values()}
    named = {SERVICES.get(kind, kind) for kind in kinds - {"Serverless"}}
    assert {name for name in named if name not in rights} == set()


def test_the_page_names_what_stays_when_the_stack_is_deleted() -> None:
    delete = PAGE.split("## Delete without leftovers")[1].split("\n## ")[0]
    kept = {
        name
        for name, block in template.template()["Resources"].items()
        if block.get("DeletionPolicy") == "Retain"
    }
    tables = {name for name in kept if name.endswith("Table")}
    assert kept - tables == {"UploadsBucket", "ApiGatewayAccount", "ApiGatewayLogsRole"}
    assert tables <= template.template()["Outputs"].keys()
    every = set(template.resources("AWS::DynamoDB::Table"))
    assert every - tables == {"AnswersTable", "SessionsTable"}
    assert "grep -v -e AnswersTable -e SessionsTable" in delete
    assert "every table but `AnswersTable` (a cache) and `SessionsTable`" in delete
    layers = re.search(r"LAYER=(\S+) +# then (.*)", delete)
    assert layers is not None
    assert {layers[1], *layers[2].split(", ")} == {
        layer["LayerName"]["Fn::Sub"].replace("${AWS::StackName}", "quorum")
        for layer in template.resources("AWS::Serverless::LayerVersion").values()
    }


def test_the_page_counts_the_alarms_and_the_metrics_that_they_are_billed_for() -> None:
    alarms = template.resources("AWS::CloudWatch::Alarm").values()
    metrics = sum(
        len([one for one in alarm.get("Metrics", ()) if "MetricStat" in one]) or 1
        for alarm in alarms
    )
    assert f"{len(alarms)} alarms over {metrics} metrics × $0.10" in PAGE
    assert f"| ${metrics * 0.1:.2f} |" in PAGE
    dashboards, keys = (
        len(template.resources(f"AWS::{kind}")) for kind in ("CloudWatch::Dashboard", "KMS::Key")
    )
    secrets = len(template.resources("AWS::SecretsManager::Secret"))
    idle = metrics * 0.1 + dashboards * 3 + keys + secrets * 0.4
    assert f"**${idle:.2f}**" in PAGE
    said = re.search(r"less than \$(\d+) a month while idle", (ROOT / "README.md").read_text())
    assert said is not None
    assert idle < int(said[1])
