"""The order in which CloudFormation makes things, where AWS refuses what comes too early.

CloudFormation makes a resource after those it refers to and those it names in `DependsOn`. A local
stack takes any order, so only these tests see one that is missing.
"""

import re
from typing import TYPE_CHECKING, Any

import pytest

from local.versions import ALIAS
from tests import template
from tests.contract.test_undoing import of, translated

if TYPE_CHECKING:
    from collections.abc import Iterator

LOGS = {"LogAccess": True}
"""The condition under which stages write access logs."""


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        return translated()


def referred(value: Any, holds: dict[str, bool]) -> "Iterator[str]":
    """The names that a value refers to, where `holds` says which branch of an `Fn::If` counts."""
    match value:
        case {"Fn::If": [condition, yes, no]} if condition in holds:
            yield from referred(yes if holds[condition] else no, holds)
        case {"Ref": name} | {"Fn::GetAtt": [name, *_]}:
            yield name
        case {"Fn::Sub": text}:
            written = text if isinstance(text, str) else text[0]
            yield from re.findall(r"\$\{(\w+)[.}]", written)
            yield from referred([] if isinstance(text, str) else text[1], holds)
        case dict():
            for inner in value.values():
                yield from referred(inner, holds)
        case list():
            for inner in value:
                yield from referred(inner, holds)


def named(block: dict[str, Any]) -> list[str]:
    """What a resource names in `DependsOn`."""
    depends = block.get("DependsOn", [])
    return [depends] if isinstance(depends, str) else list(depends)


def before(resources: dict[str, Any], name: str, holds: dict[str, bool] | None = None) -> set[str]:
    """All resources that are made before one of them."""
    waiting, found = [name], set[str]()
    while waiting:
        block = resources[waiting.pop()]
        direct = {*named(block), *referred(block.get("Properties", {}), holds or {})}
        fresh = (direct & resources.keys()) - found
        found |= fresh
        waiting += fresh
    return found


STAGES = {
    "AWS::ApiGateway::Stage": "AccessLogSetting",
    "AWS::ApiGatewayV2::Stage": "AccessLogSettings",
}
"""Kinds of stages, and their property of access logs."""


@pytest.mark.parametrize("kind", STAGES)
def test_a_stage_that_logs_is_made_after_the_accounts_role_of_logs(
    kind: str, resources: dict[str, Any]
) -> None:
    (account,) = of(resources, "AWS::ApiGateway::Account")
    ((name, stage),) = of(resources, kind).items()
    assert stage["Properties"][STAGES[kind]]["Fn::If"][0] == "LogAccess"
    assert resources[account]["Condition"] == "LogAccess"
    assert account in before(resources, name, LOGS)


@pytest.mark.parametrize("kind", STAGES)
def test_a_stage_logs_nothing_where_the_account_is_given_no_role(
    kind: str, resources: dict[str, Any]
) -> None:
    ((name, stage),) = of(resources, kind).items()
    assert stage["Properties"][STAGES[kind]]["Fn::If"][2] == {"Ref": "AWS::NoValue"}
    assert not {"LoggingLevel", "DataTraceEnabled"} & set(keys(stage))
    assert before(resources, name, {"LogAccess": False}).isdisjoint(
        of(resources, "AWS::ApiGateway::Account")
    )


def keys(value: Any) -> "Iterator[str]":
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


def test_the_role_of_logs_is_set_once_the_account_has_an_api(resources: dict[str, Any]) -> None:
    (account,) = of(resources, "AWS::ApiGateway::Account")
    made = before(resources, account)
    assert made & of(resources, "AWS::ApiGatewayV2::Api").keys()
    assert made & of(resources, "AWS::IAM::Role").keys()


def test_the_chat_is_deployed_with_all_its_routes(resources: dict[str, Any]) -> None:
    (stage,) = of(resources, "AWS::ApiGatewayV2::Stage")
    assert of(resources, "AWS::ApiGatewayV2::Route").keys() <= before(resources, stage)


def test_nothing_depends_on_what_may_not_be_made(resources: dict[str, Any]) -> None:
    """AWS: "any resources that depend on that resource aren't created either"."""
    depending = 0
    for name, block in resources.items():
        for other in named(block):
            depending += 1
            assert resources[other].get("Condition") in (None, block.get("Condition")), name
    assert depending > 0


def test_no_resource_waits_for_itself(resources: dict[str, Any]) -> None:
    for name in resources:
        assert name not in before(resources, name), name


def test_a_role_has_all_its_rights_from_the_start(resources: dict[str, Any]) -> None:
    """Lambda and Step Functions refuse a mapping, a destination or a log without the right to it.

    A policy that is a resource of its own and names its roles could come after what needs it.
    """
    kinds = {block["Type"] for block in resources.values() if "::IAM::" in block["Type"]}
    assert kinds == {"AWS::IAM::Role", "AWS::IAM::ManagedPolicy"}
    for name, policy in of(resources, "AWS::IAM::ManagedPolicy").items():
        assert "Roles" not in policy["Properties"], name


def test_an_event_source_is_made_after_the_alias_it_starts(resources: dict[str, Any]) -> None:
    kinds = ("EventSourceMapping", "EventInvokeConfig", "Permission")
    starting = {
        name: block
        for kind in kinds
        for name, block in of(resources, f"AWS::Lambda::{kind}").items()
    }
    assert len(starting) > len(template.functions())
    aliases = of(resources, "AWS::Lambda::Alias").keys()
    for name in starting:
        assert before(resources, name) & aliases, name


def test_what_failed_is_kept_where_the_function_itself_may_put_it(
    resources: dict[str, Any],
) -> None:
    """Lambda refuses a destination that the function's role has no right to."""
    kept = 0
    for kind in ("EventInvokeConfig", "EventSourceMapping"):
        for name, block in of(resources, f"AWS::Lambda::{kind}").items():
            if configured := block["Properties"].get("DestinationConfig"):
                kept += 1
                allowed = rights(resources, block["Properties"]["FunctionName"]["Ref"])
                assert (
                    "sqs:SendMessage",
                    str(configured["OnFailure"]["Destination"]),
                ) in allowed, name
    assert kept >= 4


def rights(resources: dict[str, Any], function: str) -> set[tuple[str, str]]:
    """Actions and resources that the inline policies of a function's role allow."""
    name = function.removesuffix(f"Alias{ALIAS}")
    found = set()
    for policy in resources[f"{name}Role"]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            actions, over = statement["Action"], statement["Resource"]
            found |= {
                (action, str(one))
                for action in ([actions] if isinstance(actions, str) else actions)
                for one in (over if isinstance(over, list) else [over])
            }
    return found


def test_a_log_group_is_made_before_what_writes_to_it(resources: dict[str, Any]) -> None:
    groups = of(resources, "AWS::Logs::LogGroup").keys()
    for kind in ("AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"):
        for name in of(resources, kind):
            assert before(resources, name) & groups, name


def test_nothing_of_the_buckets_or_of_usage_plans_needs_an_order(resources: dict[str, Any]) -> None:
    """S3 refuses a notification to a queue that does not admit it, and a plan wants its stage."""
    for name, bucket in of(resources, "AWS::S3::Bucket").items():
        assert "NotificationConfiguration" not in bucket["Properties"], name
    assert of(resources, "AWS::ApiGateway::UsagePlan") == {}
