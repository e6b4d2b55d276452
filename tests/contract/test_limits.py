"""Limits of AWS that no local stack has: glibc, the size of an environment, time-outs."""

import ast
import json
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace

import pytest
from quorum.app.chat import ConversationContainer
from quorum.app.console import ConsoleContainer
from quorum.app.events import DeliverContainer
from quorum.core import registry
from quorum.vote.workflow import CLIENT_SECONDS

from tests import template
from tests.template import ROOT

LAYERS = sorted((ROOT / "layers").glob("*/Makefile"))
RUNTIMES = {"python3.12": 34, "python3.13": 34}
"""The minor version of glibc 2 in Lambda's image of a runtime: Amazon Linux 2023 has 2.34."""
ENVIRONMENT_BYTES = 4_096
NAME_CHARACTERS, ARN_CHARACTERS = 64, 128
"""More than a name, and a URL or an ARN, has that CloudFormation makes."""
NAMED = ("Table", "Bucket")
"""How the logical ids of resources end whose reference is a name."""
LAMBDA_SECONDS = 900
"""The longest time-out that Lambda takes."""
CLIENTS = ROOT / "layers/quorum/python/quorum"


def test_every_runtime_has_a_glibc_that_is_known() -> None:
    assert set(template.template()["Parameters"]["PythonRuntime"]["AllowedValues"]) == set(RUNTIMES)


@pytest.mark.parametrize("makefile", LAYERS, ids=lambda makefile: makefile.parent.name)
def test_a_layers_packages_are_built_for_no_newer_glibc_than_the_runtimes_have(
    makefile: Path,
) -> None:
    text = makefile.read_text()
    asked = [int(minor) for minor in re.findall(r"manylinux_2_(\d+)", text)]
    assert bool(asked) == ("uv pip install" in text)
    assert all(minor <= min(RUNTIMES.values()) for minor in asked)


@pytest.mark.parametrize(
    "listed",
    sorted((ROOT / "layers").glob("*/requirements.txt")),
    ids=lambda file: file.parent.name,
)
def test_the_libraries_of_a_layer_ask_for_no_symbol_that_the_runtimes_glibc_lacks(
    listed: Path,
) -> None:
    # Read as this machine has them: the same versions, by the same lock.
    newest: dict[str, int] = {}
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", listed.read_text(), re.MULTILINE):
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:  # of another Python or platform
            continue
        for file in files:
            if ".so" in file.suffixes:
                found = re.findall(rb"GLIBC_2\.(\d+)\b", Path(str(file.locate())).read_bytes())
                newest[str(file)] = max(map(int, found), default=0)
    assert {file: minor for file, minor in newest.items() if minor > min(RUNTIMES.values())} == {}


@pytest.mark.parametrize("function", template.functions())
def test_an_environment_has_room_for_a_dozen_models_rate_limits(function: str) -> None:
    limits = {
        model.name: {"requests_per_minute": 10_000, "tokens_per_minute": 10_000_000}
        for model in registry.voters()
    }
    assert len(limits) >= 9
    limits |= {f"another-model-{n}": next(iter(limits.values())) for n in range(12 - len(limits))}
    parameters = template.template()["Parameters"]

    def size(name: str, value: object) -> int:
        if name == "RATE_LIMITS":
            return len(json.dumps(limits))
        if isinstance(value, dict) and value.get("Ref") not in parameters:
            named = str(value.get("Ref", "")).endswith(NAMED)
            return NAME_CHARACTERS if named else ARN_CHARACTERS
        return len(template.physical(value))

    variables = template.functions()[function]["Environment"]
    assert sum(len(name) + size(name, value) for name, value in variables.items()) < (
        ENVIRONMENT_BYTES
    )


def test_every_client_has_time_outs_of_its_own() -> None:
    made = [
        (file.relative_to(CLIENTS), call)
        for file in CLIENTS.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func) in ("boto3.client", "boto3.resource")
    ]
    assert len(made) > 8
    without = [
        f"{file}:{call.lineno}"
        for file, call in made
        if not any(word.arg == "config" for word in call.keywords)
    ]
    assert without == []


API_SECONDS = 29
"""An integration of API Gateway ends after this, and its caller hears nothing from the function."""
SERVICES = {
    "cloudwatch": "cloudwatch",
    "dynamodb": "dynamodb",
    "events": "event_bridge",
    "execute-api": "management",
    "kms": "kms",
    "s3": "s3",
    "secretsmanager": "secrets",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "states": "step_functions",
}
"""The member of a container that calls a service, by how the service's actions begin."""


class _Everything(ConsoleContainer, DeliverContainer, ConversationContainer):  # type: ignore[misc] # settings of each
    """All clients that functions open."""


@cache
def waits() -> dict[str, float]:
    """The seconds that one try of each client may take until it is given up."""
    nowhere = SimpleNamespace(
        aws_endpoint_url="http://127.0.0.1:9", connections_url="http://127.0.0.1:9"
    )
    every = _Everything(nowhere)  # type: ignore[arg-type] # addresses are all that clients read
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        for member in {*SERVICES.values(), "functions", "embedded_voters"}:
            opened = getattr(every, member)
            config = (opened.meta.client if member == "dynamodb" else opened).meta.config
            found[member] = config.connect_timeout + config.read_timeout
    return found


def clients_of(function: str) -> set[str]:
    """The clients whose service a function has rights to."""
    actions: set[str] = set()
    for statement in template.statements(template.functions()[function]):
        action = statement["Action"]
        actions.update([action] if isinstance(action, str) else action)
    found = {SERVICES[action.partition(":")[0]] for action in actions - {"lambda:InvokeFunction"}}
    if "lambda:InvokeFunction" in actions:
        starts = "CONVERSE_FUNCTION" in template.functions()[function]["Environment"]
        found.add("functions" if starts else "embedded_voters")
    return found


@pytest.mark.parametrize("function", template.functions())
def test_a_function_outlives_any_call_that_is_not_answered(function: str) -> None:
    timeout = template.functions()[function]["Timeout"]
    longest = {member: waits()[member] for member in clients_of(function)}
    assert {member: one for member, one in longest.items() if one >= timeout} == {}


@pytest.mark.parametrize("function", template.functions())
def test_whoever_answers_through_api_gateway_speaks_before_it_gives_up(function: str) -> None:
    timeout = template.functions()[function]["Timeout"]
    if function in template.called_by_api_gateway():
        assert timeout < API_SECONDS
    assert timeout <= LAMBDA_SECONDS


def test_a_caller_of_the_vote_machine_waits_as_long_as_it_says() -> None:
    assert waits()["step_functions"] == CLIENT_SECONDS
