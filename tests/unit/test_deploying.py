"""The parameters of a stack that stands already are changed without `sam deploy`."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from local import deploying

REGION = "us-east-1"
NOTHING = "No updates are to be performed."


@pytest.fixture
def formation() -> Iterator[tuple[Any, Stubber]]:
    client = boto3.client("cloudformation", region_name=REGION)
    with Stubber(client) as stub:
        yield client, stub


def functions() -> Any:
    return boto3.client("lambda", region_name=REGION)


def test_parameters_that_are_those_that_stand_are_no_failure(
    formation: tuple[Any, Stubber],
) -> None:
    client, stub = formation
    stub.add_client_error("update_stack", "ValidationError", NOTHING)
    deploying.update_parameters(client, functions(), {"DefaultPanel": "embedded"})
    stub.assert_no_pending_responses()


def test_what_cloudformation_refuses_for_another_reason_is_told(
    formation: tuple[Any, Stubber],
) -> None:
    client, stub = formation
    stub.add_client_error("update_stack", "ValidationError", "Stack is in ROLLBACK_COMPLETE")
    with pytest.raises(client.exceptions.ClientError, match="ROLLBACK_COMPLETE"):
        deploying.update_parameters(client, functions(), {"DefaultPanel": "embedded"})


def test_every_parameter_has_a_value_of_the_templates_own() -> None:
    known = deploying.defaults()
    assert known["DefaultPanel"] == "default"
    assert {name for name, value in known.items() if value == "None"} == set()
