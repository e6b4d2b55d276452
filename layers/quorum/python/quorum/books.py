"""Opens the books: the AWS clients and stores a Lambda works with, each built once, when needed."""

import json
from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quorum.limiter import Limiter
from quorum.panels import Panels
from quorum.reviews import Reviews
from quorum.verdicts import Verdicts
from quorum.voting import Ballots
from quorum.workflow import CLIENT_SECONDS, Workflow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.gateway import Gateway
    from quorum.settings import AskSettings, BooksSettings, PanelsSettings, WorkflowSettings

PARAMETER_SECONDS = 1
"""How long SSM is waited for, each of two times: the aggregate step has 6 s for all it does."""
SECRET_SECONDS = 300
"""A rotated key is taken up after so long at most."""


@cache
def dynamodb() -> "DynamoDBServiceResource":
    """DynamoDB, with standard retries."""
    return boto3.resource("dynamodb", config=Config(retries={"mode": "standard"}))


def ballots(settings: "BooksSettings") -> Ballots:
    """The voters' side of the books."""
    return Ballots(dynamodb(), settings, limiter(settings))


def limiter(settings: "BooksSettings") -> Limiter:
    """The rate limits all Lambdas share."""
    return Limiter(dynamodb(), settings.usage_table, settings.rate_limits)


def gateway(settings: "AskSettings") -> "Gateway":
    """The gateway client, with its keys out of Secrets Manager.

    The secret is one key for every base URL, or a JSON object from base URL or host to key.
    """
    # Imported here: Lambdas that ask no gateway start without its client.
    from aws_lambda_powertools.utilities import parameters  # noqa: PLC0415

    from quorum import breaker  # noqa: PLC0415
    from quorum.gateway import Gateway, GatewaySettings, parse_base_urls  # noqa: PLC0415

    secret = str(parameters.get_secret(settings.gateway_secret, max_age=SECRET_SECONDS))
    keys: str | dict[str, str] = json.loads(secret) if secret.startswith("{") else secret
    base_urls = parse_base_urls(
        settings.gateway_base_url, keys, key_source="the secret GatewaySecret"
    )
    return Gateway(
        GatewaySettings(base_urls=base_urls),
        breaker=breaker.in_table(dynamodb(), settings.usage_table),
        limiter=limiter(settings),
    )


def panels(settings: "PanelsSettings") -> Panels:
    """The deployment's panels. What is not read within a few seconds is not waited for."""
    config = Config(
        connect_timeout=PARAMETER_SECONDS,
        read_timeout=PARAMETER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    ssm = boto3.client("ssm", config=config)
    return Panels(ssm, settings.panels_path, seconds=settings.panel_seconds)


def reviews(settings: "BooksSettings") -> Reviews:
    """The reviewers' side of the books."""
    return Reviews(dynamodb(), settings.verdicts_table, label_days=settings.label_days)


def verdicts(settings: "BooksSettings") -> Verdicts:
    """The verdicts' side of the books."""
    return Verdicts(
        dynamodb(),
        settings.verdicts_table,
        settings.usage_table,
        verdict_days=settings.verdict_days,
        review_days=settings.review_days,
    )


def workflow(settings: "WorkflowSettings") -> Workflow:
    """The vote machine behind its books.

    Starting it is not idempotent, so this client tries once.
    """
    machine = boto3.client(
        "stepfunctions",
        config=Config(
            read_timeout=CLIENT_SECONDS,
            retries={"total_max_attempts": 1},
            # Only AWS has a host of its own for synchronous executions.
            inject_host_prefix=not settings.aws_endpoint_url,
        ),
    )
    return Workflow(machine, settings.vote_machine, ballots(settings).cache, verdicts(settings))
