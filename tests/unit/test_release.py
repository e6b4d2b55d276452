"""What `make deploy` does around `sam deploy`, and how the local stack publishes versions."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore.stub import Stubber
from samcli.cli.types import CfnParameterOverridesType
from samcli.yamlhelper import yaml_parse
from typer.testing import CliRunner, Result

from local.release import MARK, app
from local.versions import aliased, publish

TEMPLATE = """
Parameters: { A: {}, B: {}, GradualDeploys: {}, RateLimits: {}, DomainName: {}, CertificateArn: {} }
Globals: { Function: { Environment: { Variables: { A: !Ref B } } } }
Resources: { Own: { Type: AWS::Serverless::Function, Properties: { Handler: app.handler } } }
"""
STACK: dict[str, Any] = {
    "StackName": "quorum",
    "CreationTime": datetime(2026, 11, 1, tzinfo=UTC),
    "LastUpdatedTime": datetime(2026, 11, 27, tzinfo=UTC),
}
ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
RATES = '{"gpt-4.1": {"requests_per_minute": 900}, "o4-mini": {}}'


def client(service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload] # any service
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class Formation:
    """CloudFormation with one stack, or none."""

    def __init__(self, status: str = "", **changes: Any) -> None:
        self.client = client("cloudformation")
        self.stack = STACK | {"StackStatus": status} | changes if status else None

    def prepared(self, built: Path, overrides: str) -> Result:
        (built / "template.yaml").write_text(TEMPLATE)
        with Stubber(self.client) as stubbed, pytest.MonkeyPatch.context() as patch:
            patch.setattr(boto3, "client", lambda _service: self.client)
            if self.stack:
                asked = {"StackName": "quorum"}
                stubbed.add_response("describe_stacks", {"Stacks": [self.stack]}, asked)
            else:
                message = "Stack with id quorum does not exist"
                stubbed.add_client_error("describe_stacks", "ValidationError", message)
            return CliRunner().invoke(
                app,
                ["prepare", "default", "A=1", "--built", str(built)],
                env={"OVERRIDES": overrides},
            )

    def mark(self, built: Path, overrides: str = "") -> str:
        done = self.prepared(built, overrides)
        assert done.exit_code == 0, done.output
        template = yaml_parse((built / "template.yaml").read_text())
        (own,) = template["Resources"].values()
        assert template["Globals"]["Function"]["Environment"]["Variables"] == {"A": {"Ref": "B"}}
        return str(own["Properties"]["Environment"]["Variables"][MARK])


def test_the_same_values_leave_the_same_mark_in_whatever_order_and_other_values_another(
    tmp_path: Path,
) -> None:
    formation = Formation("UPDATE_COMPLETE")
    given = ("B=2 RateLimits={}", "RateLimits={} B=2", "B=3 RateLimits={}", "")
    marks = [formation.mark(tmp_path, overrides) for overrides in given]
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3


def test_after_an_update_that_was_rolled_back_the_same_commit_is_marked_anew(
    tmp_path: Path,
) -> None:
    before = Formation("UPDATE_COMPLETE").mark(tmp_path)
    assert Formation().mark(tmp_path) == before
    failed = Formation("UPDATE_ROLLBACK_COMPLETE").mark(tmp_path)
    later = datetime(2026, 11, 28, tzinfo=UTC)
    again = Formation("UPDATE_ROLLBACK_COMPLETE", LastUpdatedTime=later).mark(tmp_path)
    assert len({before, failed, again}) == 3
    assert Formation("UPDATE_ROLLBACK_COMPLETE").mark(tmp_path) == failed


def test_a_stack_that_cannot_be_read_stops_the_deployment(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    formation = client("cloudformation")
    with Stubber(formation) as stubbed, pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", lambda _service: formation)
        stubbed.add_client_error("describe_stacks", "AccessDenied", "not authorized")
        done = CliRunner().invoke(app, ["prepare", "default", "--built", str(tmp_path)])
    assert done.exit_code != 0
    assert not (tmp_path / "parameters.yaml").exists()


@pytest.mark.parametrize(
    ("overrides", "gradual"),
    [("", "true"), ("B=2", "true"), ("GradualDeploys=false", "false"), ("A=2 B= x", "true")],
)
def test_deployments_are_gradual_unless_this_one_says_otherwise(
    tmp_path: Path, overrides: str, gradual: str
) -> None:
    formation = Formation("UPDATE_COMPLETE")
    mark = formation.mark(tmp_path, overrides)
    assert given(tmp_path)["GradualDeploys"] == gradual
    if overrides == "GradualDeploys=false":
        assert mark == formation.mark(tmp_path)  # no function reads it


def given(built: Path) -> dict[str, str]:
    """The parameters that `sam deploy` reads from the file."""
    named = f"file://{built}/parameters.yaml"
    found: dict[str, str] = CfnParameterOverridesType().convert((named,), None, None)
    return found


@pytest.mark.parametrize("space", [" ", "\n", "  "])
def test_values_with_spaces_quotes_and_braces_reach_the_deployment_whole(
    tmp_path: Path, space: str
) -> None:
    Formation("UPDATE_COMPLETE").mark(tmp_path, space.join((f"RateLimits={RATES}", "B=", "A=a=b")))
    assert given(tmp_path) == {"A": "a=b", "B": "", "RateLimits": RATES, "GradualDeploys": "true"}


@pytest.mark.parametrize(
    ("overrides", "said"), [("BudgetDay=20", "BudgetDay"), ("20", "'20'"), ("B 2", "'B 2'")]
)
def test_what_is_no_parameter_of_the_template_stops_the_deployment(
    tmp_path: Path, overrides: str, said: str
) -> None:
    done = Formation("UPDATE_COMPLETE").prepared(tmp_path, overrides)
    assert done.exit_code == 2
    assert said in done.output
    assert not (tmp_path / "parameters.yaml").exists()


@pytest.mark.parametrize(("profile", "stack"), [("default", "quorum"), ("prod", "quorum-prod")])
def test_the_stack_of_a_profile_is_protected(
    profile: str, stack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    formation = client("cloudformation")
    monkeypatch.setattr(boto3, "client", lambda _service: formation)
    with Stubber(formation) as stubbed:
        stubbed.add_response(
            "update_termination_protection",
            {"StackId": "arn"},
            {"StackName": stack, "EnableTerminationProtection": True},
        )
        done = CliRunner().invoke(app, ["protect", profile])
        stubbed.assert_no_pending_responses()
    assert (done.exit_code, done.output.split(" ")[0]) == (0, stack)


def test_each_aliased_function_is_published_and_its_alias_led_to_the_new_version() -> None:
    arn = "arn:aws:lambda:us-east-1:000000000000:function:quorum-Own:live"
    listed = [
        {"ResourceType": "AWS::Lambda::Alias", "PhysicalResourceId": arn},
        {"ResourceType": "AWS::Lambda::Function", "PhysicalResourceId": "quorum-Own"},
    ]
    assert aliased(listed) == ["quorum-Own"]
    functions = client("lambda")
    with Stubber(functions) as stubbed:
        stubbed.add_response("publish_version", {"Version": "7"}, {"FunctionName": "quorum-Own"})
        led = {"FunctionName": "quorum-Own", "Name": "live", "FunctionVersion": "7"}
        stubbed.add_response("update_alias", {}, led)
        publish(functions, aliased(listed))
        stubbed.assert_no_pending_responses()


def test_a_domain_without_its_certificate_is_refused_before_anything_is_changed(
    tmp_path: Path,
) -> None:
    first = Formation().prepared(tmp_path, "DomainName=api.example.com")
    assert first.exit_code == 2
    assert "DomainName needs CertificateArn" in first.output
    both = "DomainName=api.example.com CertificateArn=arn:aws:acm:::certificate/1"
    assert Formation().prepared(tmp_path, both).exit_code == 0
    kept = [{"ParameterKey": "CertificateArn", "ParameterValue": "arn:aws:acm:::certificate/1"}]
    later = Formation("UPDATE_COMPLETE", Parameters=kept)
    assert later.prepared(tmp_path, "DomainName=api.example.com").exit_code == 0
    taken = later.prepared(tmp_path, "DomainName=api.example.com CertificateArn=")
    assert taken.exit_code == 2


class Lambda:
    """Lambda with the versions of each function, of which the alias calls some, and their stack."""

    exceptions = client("lambda").exceptions

    def __init__(
        self,
        versions: dict[str, dict[str, str]],
        aliases: dict[str, list[dict[str, Any]]],
        stacks: tuple[str, ...],
    ) -> None:
        self.versions, self.aliases, self.stacks = versions, aliases, stacks
        self.status = "UPDATE_COMPLETE"
        self.updated = datetime(2026, 11, 27, tzinfo=UTC)
        self.deleted: list[tuple[str, str]] = []

    def describe_stacks(self, **_asked: str) -> dict[str, Any]:
        return {"Stacks": [{"StackStatus": self.status, "LastUpdatedTime": self.updated}]}

    def get_paginator(self, operation: str) -> Any:
        return Mock(paginate=getattr(self, operation))

    def list_stack_resources(self, **_asked: str) -> list[dict[str, Any]]:
        kinds = {
            "AWS::Lambda::Function": (*self.versions, "deleted-by-hand"),
            "AWS::Lambda::Version": self.stacks,
            "AWS::SQS::Queue": ("a-queue",),
        }
        of_kinds = [
            [{"ResourceType": kind, "PhysicalResourceId": name} for name in names]
            for kind, names in kinds.items()
        ]
        retained = {"PhysicalResourceId": f"{ARN}api:3", "ResourceStatus": "DELETE_SKIPPED"}
        others = [
            {"ResourceType": "AWS::Lambda::Version"} | retained,
            {"ResourceType": "AWS::Lambda::Version"},
        ]
        return [{"StackResourceSummaries": some} for some in (*of_kinds, others)]

    def list_aliases(self, FunctionName: str) -> list[dict[str, Any]]:
        if FunctionName not in self.versions:
            raise self.exceptions.ResourceNotFoundException({"Error": {}}, "ListAliases")
        return [{"Aliases": [alias]} for alias in self.aliases.get(FunctionName, ())]

    def list_versions_by_function(self, FunctionName: str) -> list[dict[str, Any]]:
        return [
            {"Versions": [{"Version": version, "SnapStart": {"ApplyOn": applied}}]}
            for version, applied in self.versions[FunctionName].items()
        ]

    def delete_function(self, **asked: str) -> None:
        self.deleted.append((asked["FunctionName"], asked["Qualifier"]))


def test_versions_with_a_snapshot_that_nothing_calls_are_deleted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on, off = "PublishedVersions", "None"
    functions = Lambda(
        {
            "api": {"$LATEST": on, "2": off, **dict.fromkeys("3456789", on)},
            "batch": {"$LATEST": off, "1": off, "2": off},
            "cut-off": {"$LATEST": on, "1": on},
        },
        {
            "api": [
                {"Name": "tried", "FunctionVersion": "4"},
                {
                    "Name": "live",
                    "FunctionVersion": "5",
                    "RoutingConfig": {"AdditionalVersionWeights": {"6": 0.1}},
                },
            ],
            "batch": [{"Name": "live", "FunctionVersion": "2"}],
        },
        # Somebody led `live` back to 5 by hand. An update that fails leads it to 8 again.
        (f"{ARN}api:8", f"{ARN}batch:2"),
    )
    monkeypatch.setattr(boto3, "client", lambda _service: functions)
    # The newest is not called yet; the one before is not called any more, and is gone back to.
    for functions.status in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"):
        assert CliRunner().invoke(app, ["prune", "default"]).exit_code == 0
        assert functions.deleted == []
    functions.status = "UPDATE_ROLLBACK_COMPLETE"
    done = CliRunner().invoke(app, ["prune", "default"])
    assert done.exit_code == 0, done.output
    assert functions.deleted == [("api", "3"), ("api", "7"), ("api", "9")]


@pytest.fixture
def deployed(monkeypatch: pytest.MonkeyPatch) -> Lambda:
    """A function of which `live` calls version 3, and what is there besides."""
    functions = Lambda(
        {"api": dict.fromkeys("123", "PublishedVersions")},
        {"api": [{"Name": "live", "FunctionVersion": "3"}]},
        (f"{ARN}api:3",),
    )
    monkeypatch.setattr(boto3, "client", lambda _service: functions)
    return functions


def ran(command: str, built: Path) -> None:
    given = ["--built", str(built)] if command == "note" else ["--noted", f"{built}/unused.json"]
    done = CliRunner().invoke(app, [command, "default", *given])
    assert done.exit_code == 0, done.output


def test_a_deployment_that_was_declined_or_failed_deletes_no_version(
    deployed: Lambda, tmp_path: Path
) -> None:
    ran("note", tmp_path)
    ran("prune", tmp_path)
    deployed.updated, deployed.status = datetime(2026, 11, 28, tzinfo=UTC), "UPDATE_ROLLBACK_FAILED"
    ran("prune", tmp_path)
    assert deployed.deleted == []


def test_after_a_deployment_there_are_its_version_and_the_one_to_go_back_to(
    deployed: Lambda, tmp_path: Path
) -> None:
    ran("note", tmp_path)
    assert deployed.deleted == []
    deployed.updated = datetime(2026, 11, 28, tzinfo=UTC)
    deployed.versions["api"]["4"] = "PublishedVersions"
    deployed.aliases["api"][0]["FunctionVersion"], deployed.stacks = "4", (f"{ARN}api:4",)
    ran("prune", tmp_path)
    assert deployed.deleted == [("api", "1"), ("api", "2")]


def test_a_version_that_was_taken_into_use_meanwhile_is_not_deleted(
    deployed: Lambda, tmp_path: Path
) -> None:
    ran("note", tmp_path)
    deployed.updated = datetime(2026, 11, 28, tzinfo=UTC)
    deployed.aliases["api"][0]["FunctionVersion"] = "2"
    ran("prune", tmp_path)
    assert deployed.deleted == [("api", "1")]


def test_before_the_first_deployment_there_is_nothing_to_delete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    formation = client("cloudformation")
    monkeypatch.setattr(boto3, "client", lambda _service: formation)
    with Stubber(formation) as stubbed:
        message = "Stack with id quorum does not exist"
        stubbed.add_client_error("describe_stacks", "ValidationError", message)
        done = CliRunner().invoke(app, ["prune", "default"])
        assert (done.exit_code, done.output) == (0, "")
        stubbed.add_client_error("describe_stacks", "AccessDenied", "you may not")
        assert CliRunner().invoke(app, ["prune", "default"]).exit_code == 1
