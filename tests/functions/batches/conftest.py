"""Fixtures for the routes of batches: a queue, a bucket and a machine on moto."""

import json
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from functions.api import app as api
from tests.world import BATCH

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def sqs(aws: Any) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def ask(
    aws: Any,
    sqs: Any,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    within("ApiFunction")
    for name in ("ItemsQueue", "DeadLetters"):
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        monkeypatch.setenv("ITEMS_QUEUE" if name == "ItemsQueue" else "DEAD_LETTERS", url)
    boto3.client("s3").create_bucket(Bucket="UploadsBucket")
    machine = boto3.client("stepfunctions").create_state_machine(
        name="bulk",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/bulk",
    )["stateMachineArn"]
    monkeypatch.setenv("BULK_MACHINE", machine)
    api.app.cache_clear()

    def send(
        name: str,
        body: Any = None,
        *,
        batch: str = BATCH,
        tenant: str = "acme",
        role: str = "member",
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        rights: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        request = event(f"{name}.json")
        if body is not None:
            request["body"] = body if isinstance(body, str) else json.dumps(body)
        request["headers"] |= headers or {}
        request["queryStringParameters"] = query
        request["multiValueQueryStringParameters"] = {
            name: [value] for name, value in (query or {}).items()
        }
        if "batch_id" in (request["pathParameters"] or {}):
            given = request["pathParameters"]["batch_id"]
            request["path"] = request["path"].replace(given, batch)
            request["pathParameters"] = {"batch_id": batch}
        request["requestContext"]["authorizer"] |= {"tenant": tenant, "role": role}
        request["requestContext"]["authorizer"] |= rights or {}
        answer = api.handler(request, context)
        return answer["statusCode"], json.loads(answer["body"])

    return send
