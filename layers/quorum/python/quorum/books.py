"""Opens the books: the AWS clients and stores a Lambda works with, each built once, when needed."""

from functools import cache
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from quorum.verdicts import Verdicts
from quorum.voting import Ballots
from quorum.workflow import CLIENT_SECONDS, Workflow

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.settings import BooksSettings, WorkflowSettings


@cache
def dynamodb() -> "DynamoDBServiceResource":
    """DynamoDB, with standard retries."""
    return boto3.resource("dynamodb", config=Config(retries={"mode": "standard"}))


def ballots(settings: "BooksSettings") -> Ballots:
    """The voters' side of the books."""
    return Ballots(dynamodb(), settings)


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
        config=Config(read_timeout=CLIENT_SECONDS, retries={"total_max_attempts": 1}),
    )
    return Workflow(machine, settings.vote_machine, ballots(settings).cache, verdicts(settings))
