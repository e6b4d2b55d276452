"""Fixtures and settings that all tests share."""

import os
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.session import Session
from hypothesis import HealthCheck, Phase, settings
from moto import mock_aws
from moto.core.serialize import JSONSerializer
from moto.moto_api._internal.models import moto_api_backend

from tests import quick_moto
from tests.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

# A busy machine makes any example slow. Claims about time are measured in `bench/`.
settings.register_profile("quorum", deadline=None)
# `make mutants`: the same few examples for every mutant, without a search for the smallest one.
settings.register_profile(
    "mutants",
    deadline=None,
    derandomize=True,
    max_examples=30,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("quorum")


def no_account(environment: pytest.MonkeyPatch) -> None:
    """Keep tests from any AWS account, whatever credentials the machine has."""
    environment.setenv("AWS_ACCESS_KEY_ID", "testing")
    environment.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    environment.setenv("AWS_DEFAULT_REGION", "us-east-1")
    environment.delenv("AWS_ENDPOINT_URL", raising=False)


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until the test moves it."""
    return Clock()


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `no_account`, for one test."""
    no_account(monkeypatch)


@pytest.fixture(scope="session")
def cloud() -> "Iterator[DynamoDBServiceResource]":
    """One moto for all tests, since clients are slow to create; a reset empties it."""
    with pytest.MonkeyPatch.context() as environment:
        no_account(environment)
        environment.setattr(
            JSONSerializer, "_serialize_type_structure", quick_moto.serialize_structure
        )
        with mock_aws():
            yield boto3.resource("dynamodb")


def empty_account() -> None:
    """Empty the account."""
    moto_api_backend.reset()


@pytest.fixture(scope="session")
def clients() -> dict[str, Any]:
    """The AWS clients that tests have created so far, by their arguments."""
    return {}


@pytest.fixture
def account(
    cloud: "DynamoDBServiceResource",
    aws_credentials: None,
    clients: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> "DynamoDBServiceResource":
    """The DynamoDB of an empty account.

    boto3 takes 20 ms to create a client, so each is created once for all tests that ask for the
    same in the same environment (which may name another endpoint).
    """
    create_client: Any = vars(Session)["create_client"]

    def create_client_once(session: Session, *arguments: Any, **options: Any) -> Any:
        config = vars(options["config"]) if options.get("config") else None
        environment = sorted((name, set_to) for name, set_to in os.environ.items() if "AWS" in name)
        key = repr((arguments, options | {"config": config}, environment))
        if key not in clients:
            clients[key] = create_client(session, *arguments, **options)
        return clients[key]

    monkeypatch.setattr(Session, "create_client", create_client_once)
    empty_account()
    return cloud


@pytest.fixture
def usage(account: "DynamoDBServiceResource") -> "DynamoDBServiceResource":
    """DynamoDB with an empty table named Usage."""
    account.create_table(
        TableName="Usage",
        KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return account
