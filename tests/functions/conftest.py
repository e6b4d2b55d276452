"""Fixtures for handlers on moto, with the tables and environment that the template gives them."""

import copy
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from quorum.app.api import ApiContainer
from quorum.vote.cache import VoteCache
from quorum.vote.evaluation import Evaluation
from quorum.vote.policy import DEFAULT, Policy

from functions.api import app as api
from functions.estimate import app as estimate
from functions.webhooks import app as webhooks
from tests import make, openapi, quick_moto, template
from tests.template import ROOT

TABLE_FIELDS = (
    "BillingMode",
    "AttributeDefinitions",
    "KeySchema",
    "GlobalSecondaryIndexes",
)


def make_tables(dynamodb: Any) -> None:
    """Create the template's tables; from the second time on, copies of those made first."""
    if MADE:
        assert not MADE.keys() & quick_moto.tables().keys(), "they are made already"
        quick_moto.tables().update(copy.deepcopy(MADE))
        return
    names = template.resources("AWS::DynamoDB::Table")
    for name, properties in names.items():
        dynamodb.create_table(
            TableName=name,
            **{field: properties[field] for field in TABLE_FIELDS if field in properties},
        )
    MADE.update(copy.deepcopy({name: quick_moto.tables()[name] for name in names}))


MADE: dict[str, Any] = {}
"""The template's tables, empty, as moto has them: to make them takes 60 ms, to copy them 2."""


@pytest.fixture
def aws(account: Any) -> Any:
    """DynamoDB with the template's tables, and nothing else in the account."""
    make_tables(account)
    return account


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
    """The context of a handler's invocation."""

    function_name = "function"
    function_version = "$LATEST"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
    aws_request_id = "00000000-0000-0000-0000-000000000000"
    remaining_milliseconds = 60_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_milliseconds


@pytest.fixture
def context() -> Context:
    return Context()


@pytest.fixture(autouse=True)
def _described(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every answer of the HTTP API in a test against the API's description."""
    for function in (api, estimate, webhooks):
        monkeypatch.setattr(function, "handler", openapi.held(function.handler))


Ask = Callable[..., tuple[int, Any]]


class FailingMachine:
    """A vote machine that runs and fails every time; moto has no synchronous executions."""

    def start_sync_execution(self, **_given: Any) -> dict[str, str]:
        return {"status": "FAILED", "error": "Made.Up"}


def reopen(app: Any) -> None:
    """Give a function a new environment, in which nothing is open."""
    for opened in vars(app).values():
        if hasattr(opened, "cache_clear"):
            opened.cache_clear()


@pytest.fixture
def ask(
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    """Send a request to the API function; returns status and body."""
    within("ApiFunction")
    reopen(api)
    monkeypatch.setattr(ApiContainer, "step_functions", FailingMachine())

    def send(
        body: Any = None,
        *,
        name: str = "post_verdict.json",
        raw: str | None = None,
        tenant: str = "acme",
        role: str = "operator",
        headers: dict[str, str] | None = None,
        rights: dict[str, Any] | None = None,
        **changes: Any,
    ) -> tuple[int, Any]:
        request = event(name) | changes
        if raw is not None or body is not None:
            request["body"] = json.dumps(body) if raw is None else raw
        request["headers"] = request["headers"] | (headers or {})
        request["requestContext"]["authorizer"]["tenant"] = tenant
        request["requestContext"]["authorizer"]["role"] = role
        request["requestContext"]["authorizer"] |= rights or {}
        answer = api.handler(request, context)
        return answer["statusCode"], json.loads(answer["body"])

    return send


@pytest.fixture
def cached(aws: Any) -> Callable[..., None]:
    """Put a vote of every voter on an evaluation's panel into the cache."""

    def put(evaluation: Evaluation, decision: str, policy: Policy = DEFAULT, **facts: Any) -> None:
        cache = VoteCache(aws, "VotesTable", shared=False, days=1)
        for voter in evaluation.panel.voters:
            key = cache.key(evaluation.tenant, voter, evaluation.content, policy)
            vote = make.cast(voter, decision, **{"confidence": 1.0} | facts)
            aws.meta.client.transact_write_items(TransactItems=[cache.put(key, vote)])

    return put


class Faults:
    """Answers of AWS, some of which are failures.

    `requests` lists all that was asked, by operation.
    """

    def __init__(self) -> None:
        self.operations: set[str] = set()
        self.requests: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)

    def fail(self, *operations: str) -> None:
        """Let these operations of every client fail from now on, as when AWS is down."""
        self.operations |= set(operations)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """A switch that makes operations of AWS fail, in every client there is."""
    found = Faults()
    answer: Any = vars(BaseClient)["_make_api_call"]

    def call(client: Any, operation: str, request: dict[str, Any]) -> Any:
        found.requests[operation].append(request)
        if operation in found.operations:
            raise ClientError({"Error": {"Code": "InternalServerError"}}, operation)
        return answer(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return found
