"""Deployments that can be undone: what calls a function calls its alias, whose new version an alarm
takes back."""

import json
import re
import tomllib
from collections import Counter
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from samtranslator.model.lambda_ import LambdaFunction
from samtranslator.translator.transform import transform

from local.release import BUILT, ELSEWHERE, MARK, marked
from local.versions import ALIAS
from tests import template
from tests.contract.test_deploying import PAGE, planned
from tests.template import ROOT

FUNCTIONS = set(template.functions())
LAMBDA_REQUESTS = 15
"""Requests of its own API a second that Lambda takes of an account; it cannot be raised."""
REQUESTS_OF_A_DEPLOYMENT = 2
"""Those that CodeDeploy begins with: it reads the alias and updates it."""


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def translated(source: dict[str, Any] | None = None, **parameters: str) -> dict[str, Any]:
    """The resources that SAM makes of the template, as it stands after `sam package`."""
    given = deepcopy(source or template.template())
    for name, block in given["Resources"].items():
        properties = block.get("Properties", {})
        for uri in {"CodeUri", "ContentUri"} & properties.keys():
            properties[uri] = properties.get("stored", f"s3://stored/{name}")
        properties.pop("stored", None)
        if "DefinitionUri" in properties:
            properties["Definition"] = json.loads(
                (ROOT / properties.pop("DefinitionUri")).read_text()
            )
    resources: dict[str, Any] = transform(given, parameters, _NoManagedPolicies())["Resources"]
    return resources


@pytest.fixture(autouse=True)
def _region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", template.REGION)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        return translated()


def of(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: one for name, one in resources.items() if one["Type"] == kind}


def is_alias(value: Any) -> bool:
    """Whether a value of the template leads to a function's alias."""
    text = json.dumps(value)
    named = re.findall(r"\b([A-Za-z0-9]+Function)(\.Arn)?(?=[\"}])", text)
    references = re.findall(r"\b([A-Za-z0-9]+Function)Alias" + ALIAS + r"\b", text)
    suffixed = re.findall(r"\$\{([A-Za-z0-9]+Function)(?:\.Arn)?\}:" + ALIAS + r"\b", text)
    return bool(references or suffixed) and {name for name, _ in named} <= set(suffixed)


def gradual() -> set[str]:
    """The functions of which an alarm can judge a tenth of the calls: whatever judges contents,
    and whoever answers a caller without whom nothing is judged."""
    vote = template.resources("AWS::Serverless::StateMachine")["VoteMachine"]
    called = {name for name in FUNCTIONS if f"{name}.Arn" in json.dumps(vote)}
    return called | {"AuthorizeFunction", "ApiFunction", "BatchFunction", "ConverseFunction"}


def test_every_function_has_an_alias_that_leads_to_its_newest_version(
    resources: dict[str, Any],
) -> None:
    aliases = of(resources, "AWS::Lambda::Alias")
    assert aliases.keys() == {f"{name}Alias{ALIAS}" for name in FUNCTIONS}
    for name in FUNCTIONS:
        (version, _) = aliases[f"{name}Alias{ALIAS}"]["Properties"]["FunctionVersion"]["Fn::GetAtt"]
        assert resources[version]["Properties"]["FunctionName"] == {"Ref": name}
        assert resources[version]["DeletionPolicy"] == "Retain"  # it can be gone back to


def test_the_functions_that_an_alarm_can_judge_are_deployed_gradually_and_no_others(
    resources: dict[str, Any],
) -> None:
    aliases = of(resources, "AWS::Lambda::Alias")
    groups = of(resources, "AWS::CodeDeploy::DeploymentGroup")
    led = {
        name: aliases[f"{name}Alias{ALIAS}"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        for name in FUNCTIONS
        if "UpdatePolicy" in aliases[f"{name}Alias{ALIAS}"]
    }
    assert led.keys() == gradual()
    assert {update["DeploymentGroupName"]["Ref"] for update in led.values()} == groups.keys()
    for group in groups.values():
        undone = group["Properties"]["AutoRollbackConfiguration"]["Events"]
        assert "DEPLOYMENT_STOP_ON_ALARM" in undone


def needed(resource: dict[str, Any]) -> set[str]:
    """The logical ids of what CloudFormation changes before a resource."""
    text = json.dumps(resource)
    after = resource.get("DependsOn", [])
    return {
        *re.findall(r'"Ref": "(\w+)"', text),
        *re.findall(r'"Fn::GetAtt": \["(\w+)"', text),
        *re.findall(r"\$\{(\w+)[.}]", text),
        *([after] if isinstance(after, str) else after),
    }


def test_no_more_gradual_deployments_begin_together_than_lambda_takes(
    resources: dict[str, Any],
) -> None:
    """A change of our own layer changes all functions, each after those that it needs."""

    @cache
    def wave(name: str) -> int:
        before = max(map(wave, needed(resources[name]) & resources.keys()), default=0)
        return before + (name in FUNCTIONS)

    begun = Counter(wave(name) for name in gradual())
    assert len(begun) >= 3
    assert max(begun.values()) * REQUESTS_OF_A_DEPLOYMENT <= LAMBDA_REQUESTS, begun


def test_a_new_version_is_undone_by_alarms_that_exist_and_see_every_function(
    resources: dict[str, Any],
) -> None:
    alarms = of(resources, "AWS::CloudWatch::Alarm")
    watched: set[str] = set()
    for group in of(resources, "AWS::CodeDeploy::DeploymentGroup").values():
        condition, named, _outside = group["Properties"]["AlarmConfiguration"]["Fn::If"]
        assert condition == "InAws"
        assert named["Enabled"] is True
        names = {alarm["Name"]["Ref"] for alarm in named["Alarms"]}
        assert names <= alarms.keys()
        assert len(names) <= 10  # what CodeDeploy takes
        watched |= names
    seen = {
        dimension["Value"]["Ref"]
        for name in watched
        for metric in alarms[name]["Properties"].get("Metrics", [])
        if metric.get("MetricStat", {}).get("Metric", {}).get("MetricName") == "Errors"
        for dimension in metric["MetricStat"]["Metric"]["Dimensions"]
    }
    assert seen == FUNCTIONS


def periods_of(alarm: dict[str, Any]) -> set[int]:
    metrics = (one["MetricStat"] for one in alarm.get("Metrics", []) if "MetricStat" in one)
    return {one["Period"] for one in metrics} or {alarm["Period"]}


def test_an_alarm_can_go_off_by_a_new_versions_calls_alone_before_it_gets_them_all(
    resources: dict[str, Any],
) -> None:
    """What the new version fails is a tenth of all: a share above that never goes off."""
    alarms = of(resources, "AWS::CloudWatch::Alarm")
    shares = set()
    for group in of(resources, "AWS::CodeDeploy::DeploymentGroup").values():
        (_, how) = group["Properties"]["DeploymentConfigName"]["Fn::Sub"]
        canary = re.fullmatch(r"Canary(\d+)Percent(\d+)Minutes", how["ConfigName"])
        assert canary is not None
        percent, minutes = map(int, canary.groups())
        for each in group["Properties"]["AlarmConfiguration"]["Fn::If"][1]["Alarms"]:
            name = each["Name"]["Ref"]
            alarm = alarms[name]["Properties"]
            period = max(periods_of(alarm))
            # One more, because the figures come late.
            assert (alarm["EvaluationPeriods"] + 1) * period <= minutes * 60, name
            if "/" in json.dumps(alarm.get("Metrics", [])[:1]):
                shares.add(name)
                assert alarm["Threshold"] < percent, name
    assert shares == {"DeploymentVotesFailedAlarm"}


def test_every_state_machine_calls_aliases_and_may_call_nothing_else(
    resources: dict[str, Any],
) -> None:
    for machine in of(resources, "AWS::StepFunctions::StateMachine").values():
        substitutions = machine["Properties"]["DefinitionSubstitutions"]
        assert substitutions
        assert all(is_alias(value) for value in substitutions.values())
    for name, block in template.resources("AWS::Serverless::StateMachine").items():
        for statement in template.statements(block):
            if statement["Action"] == "lambda:InvokeFunction":
                allowed = statement["Resource"]
                every = allowed if isinstance(allowed, list) else [allowed]
                assert all(is_alias(one) for one in every), name


def test_every_event_source_calls_an_alias(resources: dict[str, Any]) -> None:
    sources = of(resources, "AWS::Lambda::EventSourceMapping")
    rules = of(resources, "AWS::Events::Rule")
    assert (len(sources), len(rules)) == (5, 3)
    for source in sources.values():
        assert is_alias(source["Properties"]["FunctionName"])
    for rule in rules.values():
        assert all(is_alias(target["Arn"]) for target in rule["Properties"]["Targets"])


def test_every_integration_and_authorizer_of_both_apis_calls_an_alias(
    resources: dict[str, Any],
) -> None:
    (api,) = of(resources, "AWS::ApiGateway::RestApi").values()
    document = json.loads(json.dumps(api["Properties"]["Body"]))
    uris = [
        operation["x-amazon-apigateway-integration"]["uri"]
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "options"
    ]
    schemes = document["components"]["securitySchemes"]
    uris += [
        scheme["x-amazon-apigateway-authorizer"]["authorizerUri"] for scheme in schemes.values()
    ]
    chat = of(resources, "AWS::ApiGatewayV2::Integration") | of(
        resources, "AWS::ApiGatewayV2::Authorizer"
    )
    uris += [
        one["Properties"].get("IntegrationUri") or one["Properties"]["AuthorizerUri"]
        for one in chat.values()
    ]
    assert len(uris) > 50
    assert [uri for uri in uris if not is_alias(uri)] == []


def test_whoever_may_call_a_function_may_call_its_alias(resources: dict[str, Any]) -> None:
    permissions = of(resources, "AWS::Lambda::Permission")
    assert {
        name for name, one in permissions.items() if not is_alias(one["Properties"]["FunctionName"])
    } == set()
    configured = of(resources, "AWS::Lambda::EventInvokeConfig")
    assert {one["Properties"]["Qualifier"] for one in configured.values()} == {ALIAS}
    converse = template.functions()["RouteFunction"]
    assert is_alias(converse["Environment"]["CONVERSE_FUNCTION"])
    invoked = [
        statement["Resource"]
        for statement in template.statements(converse)
        if statement["Action"] == "lambda:InvokeFunction"
    ]
    assert len(invoked) == 1
    assert is_alias(invoked[0])


def versions(resources: dict[str, Any]) -> set[str]:
    return set(of(resources, "AWS::Lambda::Version"))


def without_events() -> dict[str, Any]:
    """The template without what starts its functions: a version says nothing of it, and most of
    the time that a translation takes goes into routes."""
    found = deepcopy(template.template())
    for name in FUNCTIONS:
        found["Resources"][name]["Properties"].pop("Events", None)
    return found


def test_a_change_of_code_layer_memory_or_a_deploys_parameters_publishes_what_it_concerns(
    resources: dict[str, Any],
) -> None:
    before = versions(translated(without_events()))
    assert before == versions(resources)

    def published(change: dict[str, Any]) -> set[str]:
        new = versions(translated(change)) - before
        return {re.sub(r"Version[0-9a-f]{10}$", "", name) for name in new}

    layer = without_events()
    layer["Resources"]["EmbeddedLayer"]["Properties"]["stored"] = "s3://stored/another"
    assert published(layer) == {"RulesFunction", "CharactersFunction", "MeaningFunction"}
    ours = without_events()
    ours["Resources"]["QuorumLayer"]["Properties"]["stored"] = "s3://stored/another"
    # a function's own layers are named beside those that all have
    assert published(ours) == FUNCTIONS
    memory = without_events()
    memory["Resources"]["ApiFunction"]["Properties"]["MemorySize"] = 2048
    assert published(memory) == {"ApiFunction"}
    with_budget = marked(without_events(), {"BudgetDayUsd": "20"})
    assert published(with_budget) == FUNCTIONS
    other = versions(translated(marked(without_events(), {"BudgetDayUsd": "30"})))
    assert other.isdisjoint(versions(translated(with_budget)))
    assert MARK not in template.environment("ApiFunction")


def test_what_is_no_part_of_the_mark_tells_no_versions_apart() -> None:
    assert set(ELSEWHERE).isdisjoint(LambdaFunction.property_types)


def test_a_change_that_lambda_does_not_see_changes_the_functions_configuration() -> None:
    """Otherwise Lambda has nothing to publish, and the deployment fails."""
    values = {"BudgetDayUsd": "20"}
    before = translated(marked(without_events(), values))
    changes: dict[str, tuple[str, Any]] = {
        "ApiFunction": ("ReservedConcurrentExecutions", 7),
        "BatchFunction": ("RecursiveLoop", "Terminate"),
        "RulesFunction": ("Tags", {"team": "safety"}),
        "PagesFunction": ("EphemeralStorage", {"Size": 512}),  # as it is: the default, spelt out
    }
    changed = without_events()
    for function, (name, value) in changes.items():
        changed["Resources"][function]["Properties"][name] = value
    after = translated(marked(changed, values))
    new = {re.sub(r"Version[0-9a-f]{10}$", "", name) for name in versions(after) - versions(before)}
    assert new == changes.keys()
    for name in FUNCTIONS:
        was, now = (one[name]["Properties"]["Environment"] for one in (before, after))
        assert (was != now) is (name in new), name
    of_all = without_events()
    of_all["Globals"]["Function"]["Tags"] = {"team": "safety"}
    tagged = marked(of_all, values)["Resources"]
    for name in FUNCTIONS:
        assert mark_of(tagged[name]) != mark_of(before[name]), name


def mark_of(function: dict[str, Any]) -> str:
    return str(function["Properties"]["Environment"]["Variables"][MARK])


def test_without_gradual_deployments_the_alias_changes_at_once() -> None:
    at_once = translated(GradualDeploys="false")
    assert of(at_once, "AWS::CodeDeploy::DeploymentGroup") == {}
    aliases = of(at_once, "AWS::Lambda::Alias")
    assert len(aliases) == len(FUNCTIONS)
    assert all("UpdatePolicy" not in alias for alias in aliases.values())


def test_a_layer_is_built_for_its_functions_named_after_its_stack_and_its_versions_stay() -> None:
    for name, layer in template.resources("AWS::Serverless::LayerVersion").items():
        assert layer["LayerName"]["Fn::Sub"].startswith("${AWS::StackName}-"), name
        assert layer["RetentionPolicy"] == "Retain"
        assert layer["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
        built = template.template()["Resources"][name]["Metadata"]["BuildArchitecture"]
        assert built == {"Ref": "Architecture"}  # SAM takes x86_64 otherwise, and warns


@pytest.mark.parametrize(("profile", "stack"), [("default", "quorum"), ("prod", "quorum-prod")])
def test_make_deploy_marks_the_parameters_tags_the_stack_and_protects_it(
    profile: str, stack: str
) -> None:
    commands = planned(f"PROFILE={profile}", "OVERRIDES=BudgetDayUsd=20")
    marks, notes, deploys, protects, prunes = (
        commands.index(found)
        for found in (
            f"local.release prepare {profile} PythonRuntime=python3.13\n",
            f"local.release note {profile}\n",
            f"sam deploy --config-env {profile}",
            f"local.release protect {profile}\n",
            f"local.release prune {profile} --noted {BUILT}/unused.json\n",
        )
    )
    assert marks < notes < deploys < protects < prunes
    file = f"--parameter-overrides file://{BUILT}/parameters.yaml\n"
    assert file in commands[deploys:protects]
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())[profile]
    assert settings["global"]["parameters"]["stack_name"] == stack
    assert settings["deploy"]["parameters"]["tags"].startswith("application=quorum ")
    delete = PAGE.split("## Delete without leftovers")[1]
    assert "--no-enable-termination-protection --stack-name quorum" in delete
