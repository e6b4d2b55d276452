"""SQS → verdicts. Moto has no synchronous executions: what is not cached goes to review."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.batch import app as batch
from tests.functions.conftest import reopen

Deliver = Callable[..., list[str]]


@pytest.fixture
def deliver(
    aws: Any,
    within: Callable[[str], None],
    event: Callable[[str], dict[str, Any]],
    context: Any,
) -> Deliver:
    """Deliver messages; returns the ids of those that go back to the queue."""
    within("BatchFunction")
    reopen(batch)
    template = event("batch.json")["Records"][0]

    def send(*bodies: Any) -> list[str]:
        records = [
            template
            | {
                "messageId": f"message-{number}",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
        answer = batch.handler({"Records": records}, context)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    return send


def verdicts(aws: Any) -> list[dict[str, Any]]:
    items = aws.Table("VerdictsTable").scan()["Items"]
    return [json.loads(item["verdict"]) for item in items if "verdict" in item]


def test_every_message_becomes_a_stored_verdict(deliver: Deliver, aws: Any) -> None:
    assert deliver({"tenant": "acme", "content": "one"}, {"tenant": "acme", "content": "two"}) == []
    assert len(verdicts(aws)) == 2


def test_a_message_delivered_again_is_neither_judged_nor_counted_again(
    deliver: Deliver, aws: Any
) -> None:
    deliver({"tenant": "acme", "content": "one"})
    before = verdicts(aws)
    deliver({"tenant": "acme", "content": "one"})
    assert verdicts(aws) == before
    (counted,) = aws.Table("UsageTable").scan()["Items"]
    assert counted["needs_review"] == 1


def test_a_poisoned_message_goes_back_alone(deliver: Deliver, aws: Any) -> None:
    poison = [
        "not json",
        {"tenant": "acme"},
        {"tenant": "acme", "content": "x", "colour": "red"},
        {"tenant": "acme", "content": "x" * 32_769},
        {"content": "whose?"},
        {"tenant": "acme", "content": "x", "panel": "nobody"},
    ]
    failed = deliver({"tenant": "acme", "content": "good"}, *poison)
    assert failed == [f"message-{number}" for number in range(1, 7)]
    assert len(verdicts(aws)) == 1


def test_a_message_whose_verdict_cannot_be_stored_goes_back(deliver: Deliver, aws: Any) -> None:
    deliver({"tenant": "acme", "content": "opens the books"})
    aws.Table("UsageTable").delete()
    assert deliver({"tenant": "acme", "content": "one"}, {"tenant": "acme", "content": "x"}) == [
        "message-1"
    ]
