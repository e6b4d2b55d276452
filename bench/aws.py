"""AWS in memory for benchmarks of handlers: moto, whose own time can be left out."""

import io
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.moto_api._internal.models import moto_api_backend

from tests import template

_TABLE_FIELDS = ("BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_DEFAULT_REGION": "us-east-1",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    "POWERTOOLS_METRICS_DISABLED": "true",
    "POWERTOOLS_TRACE_DISABLED": "true",
}


class Context(LambdaContext):
    """The context of a handler's invocation."""

    _function_name = "function"
    _function_version = "$LATEST"
    _memory_limit_in_mb = 512
    _invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    _aws_request_id = "00000000-0000-0000-0000-000000000000"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Milliseconds left, always the same."""
        return 10_000


class InMemory:
    """DynamoDB in memory, and its seconds so far, by the clock and of the processor."""

    def __init__(self, dynamodb: Any) -> None:
        self.dynamodb = dynamodb
        self.seconds = 0.0
        self.processor_seconds = 0.0


def create_tables(dynamodb: Any) -> None:
    """Create the template's tables, empty."""
    for name, properties in template.resources("AWS::DynamoDB::Table").items():
        fields = {one: properties[one] for one in _TABLE_FIELDS if one in properties}
        dynamodb.create_table(TableName=name, **fields)


@contextmanager
def in_memory(function: str, **environment: str) -> Iterator[InMemory]:
    """The template's tables and the environment of `function`, while the block lasts."""
    silent = io.StringIO()  # what is logged takes its time, and is not shown
    for handler in logging.getLogger("quorum").handlers:
        if isinstance(handler, logging.StreamHandler):
            handler.setStream(silent)
    given = {**template.environment(function), "AWS_LAMBDA_FUNCTION_NAME": function}
    answer = BotocoreStubber.__call__
    with patch.dict(os.environ, {**CREDENTIALS, **given, **environment}), mock_aws():
        moto_api_backend.reset()  # within a test, the account of the test before is still there
        dynamodb: Any = boto3.resource("dynamodb")
        create_tables(dynamodb)
        found = InMemory(dynamodb)

        def timed(self: Any, *arguments: Any, **options: Any) -> Any:
            began, worked = time.perf_counter(), time.thread_time()
            try:
                return answer(self, *arguments, **options)
            finally:
                found.seconds += time.perf_counter() - began
                found.processor_seconds += time.thread_time() - worked

        with patch.object(BotocoreStubber, "__call__", timed):
            yield found
