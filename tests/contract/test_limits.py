"""Limits of AWS that no local stack has: glibc, the size of an environment, time-outs."""

import ast
import inspect
import json
import re
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from quorum.core import registry
from quorum.vote.evaluation import VOTING_SECONDS
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
INVOKED = {
    "CONVERSE_FUNCTION": "functions",
    "EMBEDDED_FUNCTIONS": "embedded_voters",
    "VOTER_FUNCTIONS": "voter_functions",
}
"""The member that calls functions, by the variable that names them."""


LONGEST_PAUSE = 20
"""Seconds: botocore's longest pause before another try."""
NOWHERE = SimpleNamespace(
    aws_endpoint_url="http://127.0.0.1:9", connections_url="http://127.0.0.1:9"
)
"""The settings that clients read: addresses."""


def container_of(function: str) -> Any:
    """The container that a function's handler opens its clients in, with nothing opened yet."""
    folder = Path(template.functions()[function]["CodeUri"]).name
    opened = import_module(f"functions.{folder}.app").app
    return inspect.get_annotations(opened.__wrapped__)["return"](NOWHERE)


def longest_wait(client: Any) -> float:
    """The seconds until a call is given up that nobody answers: all tries, and pauses between."""
    config = client.meta.config
    tries = config.retries["total_max_attempts"]
    pauses = sum(min(2**number, LONGEST_PAUSE) for number in range(tries - 1))
    return float(tries * (config.connect_timeout + config.read_timeout) + pauses)


def waits(function: str) -> dict[str, float]:
    """The longest wait of each client whose service a function has rights to."""
    actions: set[str] = set()
    for statement in template.statements(template.functions()[function]):
        action = statement["Action"]
        actions.update([action] if isinstance(action, str) else action)
    members = {SERVICES[action.partition(":")[0]] for action in actions - {"lambda:InvokeFunction"}}
    if "lambda:InvokeFunction" in actions:
        variables = template.functions()[function]["Environment"]
        members |= {member for name, member in INVOKED.items() if name in variables}
    if not members:
        return {}
    container = container_of(function)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        opened = {member: getattr(container, member) for member in members}
    return {
        member: longest_wait(client.meta.client if member == "dynamodb" else client)
        for member, client in opened.items()
    }


@pytest.mark.parametrize("function", template.functions())
def test_a_function_outlives_any_call_that_is_not_answered_however_often_it_is_tried(
    function: str,
) -> None:
    timeout = template.functions()[function]["Timeout"]
    assert {member: one for member, one in waits(function).items() if one >= timeout} == {}


def test_a_key_whose_use_cannot_be_noted_is_let_in_all_the_same() -> None:
    # read, perhaps at the second try, and then noted in vain
    container = container_of("AuthorizeFunction")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", template.REGION)
        config = container.dynamodb.meta.client.meta.config
    one_try = config.connect_timeout + config.read_timeout
    timeout = template.functions()["AuthorizeFunction"]["Timeout"]
    assert one_try + longest_wait(container.dynamodb.meta.client) < timeout


def test_an_aggregate_that_gets_no_shadow_still_stores_its_verdict_before_the_machine_ends() -> (
    None
):
    machine = template.machine()["TimeoutSeconds"]
    assert waits("AggregateFunction")["ssm"] < machine - VOTING_SECONDS


@pytest.mark.parametrize("function", template.functions())
def test_whoever_answers_through_api_gateway_speaks_before_it_gives_up(function: str) -> None:
    timeout = template.functions()[function]["Timeout"]
    if function in template.called_by_api_gateway():
        assert timeout < API_SECONDS
    assert timeout <= LAMBDA_SECONDS


def test_a_caller_of_the_vote_machine_waits_as_long_as_it_says() -> None:
    assert waits("ApiFunction")["step_functions"] == CLIENT_SECONDS
