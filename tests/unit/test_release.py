"""What `make deploy` does around `sam deploy`, and how the local stack publishes versions."""

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from samcli.yamlhelper import yaml_parse
from typer.testing import CliRunner

from local.release import MARK, app
from local.versions import aliased, publish

TEMPLATE = """
Globals: { Function: { Environment: { Variables: { A: !Ref B } } } }
Resources: { Own: { Type: AWS::Serverless::Function } }
"""


def client(service: str) -> Any:
    return boto3.client(
        service,  # type: ignore[call-overload] # any service
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_the_same_values_leave_the_same_mark_in_whatever_order_and_other_values_another(
    tmp_path: Path,
) -> None:
    built = tmp_path / "template.yaml"
    marks = []
    for values in (("A=1", "B=2"), ("B=2", "A=1"), ("A=1", "B=3"), ()):
        built.write_text(TEMPLATE)
        assert CliRunner().invoke(app, ["mark", str(built), *values]).exit_code == 0
        variables = yaml_parse(built.read_text())["Globals"]["Function"]["Environment"]["Variables"]
        assert variables["A"] == {"Ref": "B"}
        marks.append(variables[MARK])
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3


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
