"""Whatever of AWS does not answer: a route says 503, or does without it. None answers 500."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.api import app as api
from tests.functions.conftest import Ask, Faults, reopen
from tests.template import ROOT

OTHERS = ("/estimate", "/events", "/webhooks")
"""Routes of functions of their own, which have tests of their own for what does not answer."""
EXAMPLES = {
    file.name: json.loads(file.read_text())
    for file in (ROOT / "events").glob("*.json")
    if file.name.startswith(("get_", "post_", "put_", "delete_"))
}
ROUTES = sorted(
    name
    for name, event in EXAMPLES.items()
    if not event["resource"].startswith(OTHERS)
    # the others need no key, and nothing of AWS
    and "authorizer" in event["requestContext"]
)
WITHOUT = {("post_policy_trial.json", "BatchGetItem")}
"""What a route does without: a trial asks every voter where no cached vote can be read."""


NEW: dict[str, Callable[[str], dict[str, Any]]] = {
    "post_verdict.json": lambda text: {"body": {"content": text}},
    # Asked again, it would wait for the lease that was not given back.
    "post_chat_completion.json": lambda text: {
        "body": {"messages": [{"role": "user", "content": text}]}
    },
    # A claim of one's own that ends late enough is not written again.
    "post_claim_next.json": lambda text: {"body": {"reviewer": f"who is asked about {text}"}},
}
"""Requests that are to be new each time."""


@pytest.fixture(autouse=True)
def _queues(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, variable in (("items", "ITEMS_QUEUE"), ("documents", "DOCUMENTS_QUEUE")):
        monkeypatch.setenv(variable, boto3.client("sqs").create_queue(QueueName=name)["QueueUrl"])
    boto3.client("s3").create_bucket(Bucket="UploadsBucket")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: Path(route).stem)
def test_no_route_answers_500_whatever_of_aws_does_not_answer(
    ask: Ask, faults: Faults, event: Any, route: str
) -> None:
    named = event(route)

    def asked(text: str) -> int:
        """The status, of something that is there and was not asked for before."""
        reopen(api)  # what it remembers of the outage before is gone
        _, verdict = ask({"content": f"about {text}", "panel": "embedded"})
        _, batch = ask({"items": [{"content": text}]}, name="post_batch.json")
        there = {"verdict_id": verdict["id"], "batch_id": batch["id"]}
        parameters = {
            name: there.get(name, value)
            for name, value in (named.get("pathParameters") or {}).items()
        }
        path = named["path"]
        for name, value in parameters.items():
            path = path.replace(named["pathParameters"][name], value)
        new = NEW[route](text) if route in NEW else {}
        reopen(api)
        faults.requests.clear()
        faults.operations |= failing
        status, _ = ask(name=route, path=path, pathParameters=parameters, **new)
        faults.operations.clear()
        return status

    failing: set[str] = set()
    assert asked("nothing fails") != 500
    for operation in sorted(faults.requests):
        failing = {operation}
        status = asked(operation)
        assert status == 503 or (route, operation) in WITHOUT, (operation, status)
