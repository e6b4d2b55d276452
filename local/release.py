"""What `make deploy` does around `sam deploy`: see docs/decisions/0034-undoing.md.

OVERRIDES='Name=value …' python -m local.release prepare default PythonRuntime=python3.13
python -m local.release note default
python -m local.release protect default
python -m local.release prune default --noted .aws-sam/build/unused.json
"""

import json
import re
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import boto3
import typer
from botocore.exceptions import ClientError
from samcli import yamlhelper

from local.versions import ALIAS

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

ROOT = Path(__file__).resolve().parent.parent
BUILT = Path(".aws-sam/build")
MARK = "PARAMETERS"
"""The variable of every function that differs when its version has to be published anew."""
ELSEWHERE = ("DeploymentPreference", "EventInvokeConfig", "Events", "Policies")
"""Properties that SAM makes other resources of, so that they tell no versions apart."""
GRADUAL = "GradualDeploys"
"""The parameter that holds for one deployment: no function reads it."""
GONE = ("DELETE_COMPLETE", "DELETE_SKIPPED")
"""What CloudFormation says of resources that are the stack's no more."""
NEEDS = (("DomainName", "CertificateArn"),)
"""Parameters that are of no use without another one. (SAM's own schema knows no section Rules.)"""

app = typer.Typer(help=__doc__, no_args_is_help=True)


def parameters(text: str) -> dict[str, str]:
    """Name → value of `Name=value …`. A value, such as JSON, ends where the next name begins."""
    found = {}
    for pair in re.split(r"\s+(?=[A-Za-z][A-Za-z0-9]*=)", text.strip()):
        name, equals, value = pair.partition("=")
        if pair and not (equals and name.isalnum()):
            message = f"OVERRIDES: {pair!r} is not of the form Name=value"
            raise typer.BadParameter(message)
        found[name] = value
    found.pop("", None)
    return found


def marked(
    template: dict[str, Any], values: Mapping[str, str], rolled_back: str = ""
) -> dict[str, Any]:
    """The template, so that Lambda publishes every version that SAM sees as new.

    SAM tells a function's versions apart by its properties as they are written. `!Ref BudgetDayUsd`
    is the same text whatever the budget is, so `values` are written down. Lambda publishes nothing
    if neither code nor configuration changed since the version before, and the deployment fails. So
    the text of all properties is part of the mark: of what Lambda keeps outside versions (reserved
    concurrency, tags), and of what is only written in another way (a default that is spelt out).
    The time of an update that was rolled back is as well, since the versions of that one stay.
    """
    read = sorted(f"{name}={value}" for name, value in values.items() if name != GRADUAL)
    common: dict[str, Any] = template["Globals"]["Function"]
    for block in template["Resources"].values():
        if block["Type"] == "AWS::Serverless::Function":
            written = [
                {name: value for name, value in part.items() if name not in ELSEWHERE}
                for part in (common, block["Properties"])
            ]
            text = json.dumps([read, written, rolled_back], sort_keys=True)
            own = block["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            own[MARK] = sha256(text.encode()).hexdigest()[:16]
    return template


def stack_of(profile: str) -> str:
    """The name of the stack of a profile of samconfig.toml."""
    settings = tomllib.loads((ROOT / "samconfig.toml").read_text())
    return str(settings[profile]["global"]["parameters"]["stack_name"])


def described(stack: str) -> dict[str, Any] | None:
    """What CloudFormation says of the stack; None before its first deployment."""
    try:
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
    return dict(found)


def rolled_back_update(found: Mapping[str, Any]) -> str:
    """The time of a stack's newest update, if it was rolled back."""
    if "ROLLBACK" not in found.get("StackStatus", ""):
        return ""
    return str(found.get("LastUpdatedTime", ""))


def missing(given: Mapping[str, str], found: Mapping[str, Any]) -> list[str]:
    """What is wrong with parameters that need another one, as the deployment would have them."""
    kept = {one["ParameterKey"]: one["ParameterValue"] for one in found.get("Parameters", ())}
    values = kept | dict(given)
    return [
        f"{name} needs {other}"
        for name, other in NEEDS
        if values.get(name) and not values.get(other)
    ]


@app.command()
def prepare(
    profile: str,
    values: Annotated[list[str] | None, typer.Argument(help="Name=value")] = None,
    overrides: Annotated[str, typer.Option(envvar="OVERRIDES", help="Name=value …")] = "",
    built: Path = BUILT,
) -> None:
    """Mark the built template, and write the parameters that it is deployed with beside it."""
    template = yamlhelper.yaml_parse((built / "template.yaml").read_text())
    given = {GRADUAL: "true"} | parameters(" ".join(values or [])) | parameters(overrides)
    if unknown := sorted(given.keys() - template["Parameters"].keys()):
        message = f"OVERRIDES: the template has no parameter {', '.join(unknown)}"
        raise typer.BadParameter(message)  # SAM would ignore it
    found = described(stack_of(profile)) or {}
    if wrong := missing(given, found):
        raise typer.BadParameter(f"OVERRIDES: {', '.join(wrong)}")  # it would fail halfway
    template = marked(template, given, rolled_back_update(found))
    (built / "template.yaml").write_text(yamlhelper.yaml_dump(template))
    (built / "parameters.yaml").write_text(json.dumps(given))  # SAM reads no file named .json


def functions_of(stack: str) -> dict[str, set[str]]:
    """The names of the stack's functions, each with its versions that are the stack's.

    To these CloudFormation leads the alias back where an update fails, wherever it led before.
    """
    pages = boto3.client("cloudformation").get_paginator("list_stack_resources")
    found: dict[str, set[str]] = {}
    for page in pages.paginate(StackName=stack):
        for one in page["StackResourceSummaries"]:
            if one.get("ResourceStatus") in GONE or "PhysicalResourceId" not in one:
                continue
            if one["ResourceType"] == "AWS::Lambda::Function":
                found.setdefault(one["PhysicalResourceId"], set())
            elif one["ResourceType"] == "AWS::Lambda::Version":
                name, version = one["PhysicalResourceId"].split(":")[-2:]
                found.setdefault(name, set()).add(version)
    return found


def unused_snapshots(functions: "LambdaClient", name: str, kept: set[str]) -> list[str]:
    """The versions of a function that have a snapshot, are not called and are not `kept`."""
    try:
        listed = functions.get_paginator("list_aliases").paginate(FunctionName=name)
        aliases = [alias for page in listed for alias in page["Aliases"]]
    except functions.exceptions.ResourceNotFoundException:
        aliases = []
    if ALIAS not in {alias["Name"] for alias in aliases}:
        return []  # its first deployment was cut off
    called = {"$LATEST", *kept}
    for alias in aliases:  # Lambda deletes no version that an alias names, whoever made it
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        called |= {alias["FunctionVersion"], *weights}
    pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    return [
        one["Version"]
        for page in pages
        for one in page["Versions"]
        if one["Version"] not in called
        and one.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"
    ]


def unused(stack: str, found: Mapping[str, Any] | None) -> dict[str, list[str]]:
    """Function → the versions whose snapshots are billed although nothing calls them.

    Only where the last update has ended: while one runs, and where one could not be rolled back,
    versions are needed that nothing calls.
    """
    if found is None or not found["StackStatus"].endswith("_COMPLETE"):
        return {}
    functions = boto3.client("lambda")
    return {
        name: unused_snapshots(functions, name, kept) for name, kept in functions_of(stack).items()
    }


def updated(found: Mapping[str, Any] | None) -> str:
    """The time of a stack's newest update."""
    return str((found or {}).get("LastUpdatedTime", ""))


@app.command()
def note(profile: str, built: Path = BUILT) -> None:
    """Write down the versions that `prune` may delete when the deployment has been made.

    Before a deployment, so that after it there is the version in use and the one before.
    """
    stack = stack_of(profile)
    found = described(stack)
    noted = {"updated": updated(found), "versions": unused(stack, found)}
    (built / "unused.json").write_text(json.dumps(noted))


@app.command()
def prune(
    profile: str,
    noted: Annotated[Path | None, typer.Option(help="only what `note` wrote down")] = None,
) -> None:
    """Delete versions whose snapshots are billed although nothing calls them.

    With `noted` only those of before the deployment, and none if nothing has been deployed since.
    """
    stack = stack_of(profile)
    found = described(stack)
    before = None if noted is None else json.loads(noted.read_text())
    if before is not None and before["updated"] == updated(found):
        return
    functions = boto3.client("lambda")
    for name, versions in unused(stack, found).items():
        for version in versions:
            if before is None or version in before["versions"].get(name, ()):
                functions.delete_function(FunctionName=name, Qualifier=version)
                typer.echo(f"{name}: version {version} and its snapshot are deleted")


@app.command()
def protect(profile: str) -> None:
    """Protect the stack of a profile of samconfig.toml from being deleted."""
    stack = stack_of(profile)
    boto3.client("cloudformation").update_termination_protection(
        StackName=stack, EnableTerminationProtection=True
    )
    typer.echo(f"{stack} is protected: it cannot be deleted until that is taken off")


if __name__ == "__main__":
    app()
