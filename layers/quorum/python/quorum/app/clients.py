"""The AWS clients of one Lambda environment, each opened when it is first used."""

from collections.abc import Callable
from functools import cached_property
from time import time
from typing import TYPE_CHECKING, ClassVar

import boto3
from botocore.client import BaseClient
from botocore.config import Config

from quorum.aws.clients import LONG, Patience, client_config

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

    from quorum.core.models import Frozen

S3_PATIENCE = Patience(5, 3)
"""For each part of an object: 21 seconds, where the functions of routes have 28."""
S3_CONNECTIONS = 16
"""Connections to S3: as many as documents are stored at once."""
PARAMETER_PATIENCE = Patience(1, 2)
"""Panels that are known stay in use."""
SECRET_PATIENCE = Patience(2, 2)
"""A voter has 11 s in all."""


class Clients:
    """The root of every container: settings, a clock (epoch seconds) and the AWS clients."""

    settings: "Frozen"
    patience: ClassVar[Patience] = LONG
    """How long this function waits for a store; its time-out is longer."""
    parameter_patience: ClassVar[Patience] = PARAMETER_PATIENCE
    """How long it waits for SSM."""

    def __init__(self, settings: "Frozen", *, clock: Callable[[], float] = time) -> None:
        self.settings = settings
        self.clock = clock

    def close(self) -> None:
        """Close the connections of all clients that were opened."""
        for member in vars(self).values():
            client = getattr(getattr(member, "meta", None), "client", member)  # of a resource
            if isinstance(client, BaseClient):
                client.close()

    @cached_property
    def dynamodb(self) -> "DynamoDBServiceResource":
        """DynamoDB."""
        return boto3.resource("dynamodb", config=client_config(*self.patience))

    @cached_property
    def sqs(self) -> "SQSClient":
        """SQS; it may wait a second for dead letters."""
        return boto3.client("sqs", config=client_config(*self.patience))

    @cached_property
    def sns(self) -> "SNSClient":
        """SNS."""
        return boto3.client("sns", config=client_config(*self.patience))

    @cached_property
    def s3(self) -> "S3Client":
        """S3, with the signature and the host of the bucket's own region.

        A presigned URL of the global host is answered with a redirect, which the signature does
        not cover. botocore takes no bucket for part of a host that is an IP address: the local
        stack's URLs have it in the path.
        """
        several = Config(
            signature_version="s3v4",
            s3={"addressing_style": "virtual"},
            max_pool_connections=S3_CONNECTIONS,
        )
        return boto3.client("s3", config=client_config(*S3_PATIENCE).merge(several))

    @cached_property
    def ssm(self) -> "SSMClient":
        """SSM, with a timeout of a few seconds."""
        return boto3.client("ssm", config=client_config(*self.parameter_patience))

    @cached_property
    def secrets(self) -> "SecretsManagerClient":
        """Secrets Manager."""
        return boto3.client("secretsmanager", config=client_config(*SECRET_PATIENCE))

    @cached_property
    def kms(self) -> "KMSClient":
        """KMS."""
        return boto3.client("kms", config=client_config(*self.patience))

    @cached_property
    def event_bridge(self) -> "EventBridgeClient":
        """EventBridge."""
        return boto3.client("events", config=client_config(*self.patience))

    @cached_property
    def functions(self) -> "LambdaClient":
        """Lambda. Whatever it starts may be started twice (`Conversations.claim`)."""
        return boto3.client("lambda", config=client_config(*self.patience))
