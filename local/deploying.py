"""`sam build` and `sam deploy` of the template on the local stack, where something has changed."""

import os
import platform
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from botocore.exceptions import ClientError
from rich.console import Console
from samcli import yamlhelper

from local.state import ROOT, STACK, Stack, StateDirectory
from local.unfinished import remove_unfinished, require_bucket, status
from local.versions import aliased, publish

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient

UPDATE_SECONDS = 120
BUILT_FROM = ("template.yaml", "functions", "layers", "statemachines")

console = Console(stderr=True)


def deploy(home: StateDirectory, stack: Stack, overrides: dict[str, str]) -> Stack:
    """Build and deploy the current template, unless nothing has changed."""
    wanted = parameters(stack, overrides)
    pairs = [f"{name}={value}" for name, value in wanted.items()]
    state = fingerprint(*pairs)
    if state == stack.deployed and _deployed(stack):
        return stack
    built = fingerprint(wanted["PythonRuntime"], wanted["Architecture"])
    if built == stack.built and home.build.exists() and _stands(stack):
        # What is not wanted any more takes the template's default again.
        every = defaults() | wanted
        _settle_parameters(home.build / "template.yaml", every)
        update_parameters(stack.client("cloudformation"), stack.client("lambda"), every)
    else:
        _build_and_deploy(home, stack, wanted)
    described = stack.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    listed = stack.client("cloudformation").describe_stack_resources(StackName=STACK)
    resources = {
        found["LogicalResourceId"]: found["PhysicalResourceId"]
        for found in listed["StackResources"]
    }
    stack = stack.model_copy(
        update={"built": built, "deployed": state, "outputs": outputs, "resources": resources}
    )
    home.write(stack)
    return stack


def fingerprint(*extra: str) -> str:
    """A hash of all files the stack is built from, and of `extra`."""
    digest = sha256("\0".join(extra).encode())
    for file in _sources():
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _sources() -> "Iterator[Path]":
    for name in BUILT_FROM:
        top = ROOT / name
        files = [top] if top.is_file() else sorted(top.rglob("*"))
        yield from (file for file in files if file.is_file() and "__pycache__" not in file.parts)


def parameters(stack: Stack, overrides: dict[str, str]) -> dict[str, str]:
    """The template's parameters for this machine."""
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return {
        "PythonRuntime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "Architecture": "arm64" if arm else "x86_64",
        "AwsEndpointUrl": stack.endpoint,
        "Stage": stack.stage,
        "GradualDeploys": "false",  # MiniStack has no CodeDeploy
        # One machine: each item judged at once starts a process for every voter.
        "ItemsAtOnce": "1",
        # A developer who deploys a panel here wants to see its effect at once.
        "PanelSeconds": "1",
    } | overrides


def _build_and_deploy(home: StateDirectory, stack: Stack, wanted: dict[str, str]) -> None:
    """Build the template with `sam build` and deploy it with `sam deploy`."""
    pairs = [f"{name}={value}" for name, value in wanted.items()]
    log = home.folder / "sam.log"
    log.write_text("")
    environment = stack.environment() | {
        "PYTHON_RUNTIME": wanted["PythonRuntime"],
        "ARCHITECTURE": wanted["Architecture"],
        "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}",
    }
    sam = str(ROOT / ".venv/bin/sam")
    built = fingerprint(wanted["PythonRuntime"], wanted["Architecture"])
    if built != stack.built or not home.build.exists():
        with console.status("sam build…"):
            _run(
                [sam, "build", "--build-dir", str(home.build), "--parameter-overrides", *pairs],
                environment,
                log,
            )
    _settle_parameters(home.build / "template.yaml", wanted)
    bucket = f"{STACK}-local"
    require_bucket(stack.client("s3"), bucket)
    with console.status("looking for a stack that was left unfinished…"):
        remove_unfinished(stack.client("cloudformation"), STACK)
    with console.status("sam deploy…"):
        _run(
            [
                *(sam, "deploy", "--template-file", str(home.build / "template.yaml")),
                *("--stack-name", STACK, "--s3-bucket", bucket),
                *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"),
                *("--no-fail-on-empty-changeset", "--no-progressbar"),
                *("--parameter-overrides", *pairs),
            ],
            environment,
            log,
        )


def _run(command: list[str], environment: dict[str, str], log: Path) -> None:
    """Run `command` with its output in `log`; on failure show its end and exit."""
    with log.open("a") as output:
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | environment,
            stdout=output,
            stderr=output,
            check=False,
        )
    if done.returncode:
        console.print("\n".join(log.read_text().splitlines()[-30:]), markup=False)
        raise SystemExit(f"`{' '.join(command[:2])}` failed; its whole output is in {log}")


def _stands(stack: Stack) -> bool:
    """Whether CloudFormation has the complete stack; its data may have been removed."""
    return status(stack.client("cloudformation"), STACK) in ("CREATE_COMPLETE", "UPDATE_COMPLETE")


def defaults() -> dict[str, str]:
    """The template's own values of its parameters."""
    template = yamlhelper.yaml_parse((ROOT / "template.yaml").read_text())
    return {name: str(known.get("Default", "")) for name, known in template["Parameters"].items()}


def update_parameters(
    formation: "CloudFormationClient", functions: "LambdaClient", wanted: dict[str, str]
) -> None:
    """Change the deployed template's parameters, in a fifth of the time of `sam deploy`."""
    try:
        formation.update_stack(
            StackName=STACK,
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in wanted.items()
            ],
        )
    except ClientError as refused:
        if "No updates are to be performed" in str(refused):
            return
        raise
    waiter = formation.get_waiter("stack_update_complete")
    with console.status("updating the parameters…"):
        waiter.wait(StackName=STACK, WaiterConfig={"Delay": 1, "MaxAttempts": UPDATE_SECONDS})
    found: Any = formation.describe_stack_resources(StackName=STACK)["StackResources"]
    publish(functions, aliased(found))


def _settle_parameters(built: Path, wanted: dict[str, str]) -> None:
    """Make `wanted` the defaults of a built template, so that `sam local invoke` uses them."""
    template = yamlhelper.yaml_parse(built.read_text())
    for name, value in wanted.items():
        parameter = template["Parameters"][name]
        parameter["Default"] = value
        # Python 3.11 works here, although Lambda's own image of it is too old for the packages.
        if name == "PythonRuntime" and value not in parameter["AllowedValues"]:
            parameter["AllowedValues"].append(value)
    built.write_text(yamlhelper.yaml_dump(template))


def _deployed(stack: Stack) -> bool:
    """Whether the stack's API exists; its data may have been removed."""
    try:
        return httpx.get(f"{stack.api}/health", timeout=30).status_code in (200, 401)
    except httpx.HTTPError:
        return False
