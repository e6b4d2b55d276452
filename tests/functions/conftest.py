"""Handlers on moto, with the tables and the environment the template gives them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from quorum import books

from tests import template
from tests.template import ROOT

TABLE_FIELDS = (
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
)


@pytest.fixture
def aws(aws_credentials: None) -> Iterator[Any]:
    """DynamoDB with the template's tables; yields the resource."""
    books.dynamodb.cache_clear()
    with mock_aws():
        dynamodb = boto3.resource("dynamodb")
        for name, properties in template.resources("AWS::DynamoDB::Table").items():
            dynamodb.create_table(
                TableName=name,
                **{field: properties[field] for field in TABLE_FIELDS if field in properties},
            )
        yield dynamodb
    books.dynamodb.cache_clear()


@pytest.fixture
def within(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """The environment the template gives to a function."""

    def enter(function: str) -> None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", function)
        for name, value in template.environment(function).items():
            monkeypatch.setenv(name, value)

    return enter


@pytest.fixture
def event() -> Callable[[str], dict[str, Any]]:
    """An event of `events/`, parsed."""

    def read(name: str) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads((ROOT / "events" / name).read_text())
        return parsed

    return read


class Context:
    """What a handler sees of its invocation."""

    function_name = "function"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        return 10_000


@pytest.fixture
def context() -> Context:
    return Context()
