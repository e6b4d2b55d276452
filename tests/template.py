"""The template's resources, functions and environments, read for tests."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

ROOT = Path(__file__).resolve().parent.parent
ACCOUNT = "123456789012"
REGION = "us-east-1"


@cache
def template() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse((ROOT / "template.yaml").read_text())
    return parsed


@cache
def machine() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads((ROOT / "statemachines/vote.asl.json").read_text())
    return parsed


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id → properties of every resource of a type."""
    return {
        name: resource.get("Properties", {})
        for name, resource in template()["Resources"].items()
        if resource["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Logical id → properties, the globals merged in."""
    common = template()["Globals"]["Function"]
    return {
        name: common | properties | {"Environment": _environment(common, properties)}
        for name, properties in resources("AWS::Serverless::Function").items()
    }


def statements(properties: dict[str, Any]) -> list[dict[str, Any]]:
    """The IAM statements of a function or machine, with those of its managed policies."""
    managed = resources("AWS::IAM::ManagedPolicy")
    found: list[dict[str, Any]] = []
    for policy in properties.get("Policies", []):
        document = managed[policy["Ref"]]["PolicyDocument"] if "Ref" in policy else policy
        found += document["Statement"]
    return found


def called_by_api_gateway() -> set[str]:
    """The functions of routes, authorizers and the chat's integrations."""
    routes = {
        name
        for name, block in functions().items()
        for event in block.get("Events", {}).values()
        if event["Type"] == "Api"
    }
    kinds = ("Serverless::Api", "ApiGatewayV2::Authorizer", "ApiGatewayV2::Integration")
    others = json.dumps([resources(f"AWS::{kind}") for kind in kinds])
    return routes | {name for name in functions() if re.search(rf"\b{name}\b", others)}


def _environment(common: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    own = properties.get("Environment", {}).get("Variables", {})
    return {**common["Environment"]["Variables"], **own}


def physical(value: Any) -> str:
    """The value of a Ref or GetAtt: parameters by their default, resources by logical id."""
    match value:
        case {"Ref": name} if name in template()["Parameters"]:
            return str(template()["Parameters"][name]["Default"])
        case {"Ref": "VoteMachine"}:
            return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:VoteMachine"
        case {"Ref": name}:
            return str(name)
        case {"Fn::Sub": text}:
            return _substituted(str(text))
        case {"Fn::If": [_, _outside, in_aws]}:
            return physical(in_aws)
        case str() | int() | float():
            return str(value)
    raise ValueError(f"tests cannot resolve {value!r}")


def _substituted(text: str) -> str:
    known = {"AWS::StackName": "quorum", "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"}
    parameters = template()["Parameters"]

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return known.get(name) or str(parameters.get(name, {}).get("Default", name))

    return re.sub(r"\$\{([\w:.]+)\}", value, text)


def environment(function: str) -> dict[str, str]:
    """The environment variables of `function`, without empty ones."""
    resolved = {
        name: physical(value) for name, value in functions()[function]["Environment"].items()
    }
    return {name: value for name, value in resolved.items() if value}
