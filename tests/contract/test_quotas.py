"""The template beside the limits of CloudFormation and IAM, and the list of what checkov leaves."""

import json
import re
from typing import Any

import pytest

from tests import template
from tests.contract.test_deploying import PAGE
from tests.contract.test_undoing import of, translated
from tests.template import ROOT

RESOURCES, TEMPLATE_BYTES, PARAMETERS, OUTPUTS = 500, 1_000_000, 200, 200
"""What CloudFormation takes of a template in a bucket, where `sam deploy` puts it."""
ROLE_POLICIES, INLINE_CHARACTERS, POLICY_CHARACTERS = 10, 10_240, 6_144
"""What IAM takes: managed policies of a role, all of its own ones together, one managed policy."""
SPARE_POLICIES = 2
"""Managed policies that a role still has room for: an organisation attaches some of its own."""
ARN_CHARACTERS = 160
"""More than an ARN of this stack has."""
API_RESOURCES, API_AUTHORIZERS, API_ROUTES = 300, 10, 300
"""What API Gateway takes of one API: parts of paths, authorizers, routes of a WebSocket."""
MACHINE_BYTES, NAME_CHARACTERS = 1_048_576, 80
"""What Step Functions takes: a definition, the name of a machine."""
DASHBOARD_WIDGETS, METRICS_OF_A_WIDGET = 500, 500
INDEXES = {
    "KeysTable": {"tenants": (("tenant", "key_hash"), "KEYS_ONLY")},
    "UsageTable": {"entries": (("entry", "key"), "ALL")},
    "VerdictsTable": {
        "batches": (("batch", "item"), "KEYS_ONLY"),
        "reviews": (("review", "created_at"), "ALL"),
        "verdicts": (
            ("listed", "created_at"),
            "INCLUDE decision flagged language metadata panel policy",
        ),
    },
}
"""Keys and contents of the tables' indexes in the newest release; renew it when one is made."""
HALF = 0.5
"""The part of a limit that may be used: names of a real stack are longer than the template's."""


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        return translated()


def characters(document: Any) -> int:
    """The length of a policy, with an ARN for whatever the template refers to."""
    text = json.dumps(document, separators=(",", ":"))
    return len(re.sub(r'\{"(Ref|Fn::GetAtt|Fn::Sub)":.*?\}', "x" * ARN_CHARACTERS, text))


def test_the_stack_fits_into_one_template(resources: dict[str, Any]) -> None:
    assert len(resources) < RESOURCES
    body = {**template.template(), "Resources": resources}
    assert len(json.dumps(body)) < HALF * TEMPLATE_BYTES
    assert len(template.template()["Parameters"]) < PARAMETERS
    assert len(template.template()["Outputs"]) < OUTPUTS


def test_an_update_changes_one_index_of_a_table_at_most_and_none_that_stays() -> None:
    """CloudFormation refuses two in one update, and another projection under the same name."""
    now: dict[str, dict[str, tuple[tuple[str, ...], str]]] = {}
    for name, table in template.resources("AWS::DynamoDB::Table").items():
        for index in table.get("GlobalSecondaryIndexes", []):
            keys = tuple(key["AttributeName"] for key in index["KeySchema"])
            holds = index["Projection"]
            contents = [holds["ProjectionType"], *sorted(holds.get("NonKeyAttributes", []))]
            now.setdefault(name, {})[index["IndexName"]] = (keys, " ".join(contents))
    for name in now.keys() | INDEXES.keys():
        after, before = now.get(name, {}), INDEXES.get(name, {})
        assert len(after.keys() ^ before.keys()) <= 1, name
        for stays in after.keys() & before.keys():
            assert after[stays] == before[stays], f"{name}: {stays} needs another name"


def test_the_apis_fit_into_what_api_gateway_takes(resources: dict[str, Any]) -> None:
    (api,) = of(resources, "AWS::ApiGateway::RestApi").values()
    parts = {
        path[: end.start()]
        for path in (f"{path.rstrip('/')}/" for path in api["Properties"]["Body"]["paths"])
        for end in re.finditer("/", path)
    }
    assert len(parts) < HALF * API_RESOURCES
    schemes = api["Properties"]["Body"]["components"]["securitySchemes"]
    assert len(schemes) < API_AUTHORIZERS
    assert len(of(resources, "AWS::ApiGatewayV2::Route")) < HALF * API_ROUTES


def test_an_integration_of_the_chat_names_its_method(resources: dict[str, Any]) -> None:
    """POST, as the reference of AWS::ApiGatewayV2::Integration asks of those with a Lambda."""
    for one in of(resources, "AWS::ApiGatewayV2::Integration").values():
        assert one["Properties"]["IntegrationMethod"] == "POST"


def test_the_machines_fit_into_what_step_functions_takes(resources: dict[str, Any]) -> None:
    for machine in of(resources, "AWS::StepFunctions::StateMachine").values():
        written = json.dumps(machine["Properties"]["DefinitionString"])
        assert len(written) < HALF * MACHINE_BYTES
        name = machine["Properties"]["StateMachineName"]["Fn::Sub"]
        assert len(name.replace("${AWS::StackName}", "x" * 64)) <= NAME_CHARACTERS


def test_the_dashboard_fits_into_what_cloudwatch_takes() -> None:
    (dashboard,) = template.resources("AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    assert len(widgets) < HALF * DASHBOARD_WIDGETS
    assert max(len(one["properties"]["metrics"]) for one in widgets) < METRICS_OF_A_WIDGET


def test_no_role_has_more_policies_than_iam_takes(resources: dict[str, Any]) -> None:
    roles = of(resources, "AWS::IAM::Role")
    assert len(roles) > len(template.functions())
    for name, role in roles.items():
        managed = role["Properties"].get("ManagedPolicyArns", [])
        assert len(managed) + SPARE_POLICIES <= ROLE_POLICIES, name
        own = role["Properties"].get("Policies", [])
        written = sum(characters(policy["PolicyDocument"]) for policy in own)
        assert written < INLINE_CHARACTERS, name
    for name, policy in of(resources, "AWS::IAM::ManagedPolicy").items():
        assert characters(policy["Properties"]["PolicyDocument"]) < POLICY_CHARACTERS, name


def test_the_template_names_every_policy_of_aws_that_its_roles_get(
    resources: dict[str, Any],
) -> None:
    given = {
        policy.rpartition("/")[2]
        for role in of(resources, "AWS::IAM::Role").values()
        for policy in role["Properties"].get("ManagedPolicyArns", [])
        if isinstance(policy, str)
    }
    said, _, _ = (ROOT / "template.yaml").read_text().partition("\nParameters:")
    assert given == set(re.findall(r"\bAWS(?!Template)[A-Z]\w+", said))


def test_the_page_of_deploying_lists_what_the_scan_leaves_and_why() -> None:
    settings = (ROOT / ".checkov.yaml").read_text()
    left = re.findall(r"^  - (CKV_\w+) # (.+)$", settings, re.MULTILINE)
    assert len(left) == settings.count("- CKV_")
    assert re.findall(r"^\| (CKV_\w+) \| (.+) \|$", PAGE, re.MULTILINE) == left
