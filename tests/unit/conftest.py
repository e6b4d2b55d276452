"""The Usage table, as the template makes it."""

from typing import TYPE_CHECKING

import boto3
import pytest
from moto import mock_aws

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

USAGE = "Usage"


@pytest.fixture
def usage(aws_credentials: None) -> "Iterator[DynamoDBServiceResource]":
    """DynamoDB with an empty table called Usage."""
    with mock_aws():
        dynamodb = boto3.resource("dynamodb")
        dynamodb.create_table(
            TableName=USAGE,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        yield dynamodb
