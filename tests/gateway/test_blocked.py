"""Contents that a safety filter blocks: asked once, booked once, no circuit opened."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import ModelRefused, ModelThrottled, ModelUnavailable, VoteUnavailable
from quorum.core.models import CastVote
from quorum.core.normalise import normalise
from quorum.gateway import breaker
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.vote import voter
from quorum.vote.evaluation import TRANSIENT

from tests.gateway.conftest import Refusing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

GEMINI = registry.model("gemini-2.5-flash")
VOTE = '{"decision": "safe", "confidence": 0.9}'
USAGE = {"prompt_tokens": 400, "completion_tokens": 50, "total_tokens": 450}
BLOCKED = [
    (200, {"choices": [], "usage": USAGE}),
    (200, {"choices": [{"finish_reason": "PROHIBITED_CONTENT", "message": None}], "usage": USAGE}),
    (200, {"prompt_filter_results": [{"content_filter_results": {"hate": {"filtered": True}}}],
           "usage": USAGE}),
    (200, {"error": {"code": "data_inspection_failed"}, "usage": USAGE}),
    (400, {"error": {"message": "Content Exists Risk", "code": "invalid_request_error"}}),
    (400, {"error": {"code": "content_filter",
                     "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    (500, {"error": {"message": "ContentPolicyViolationError", "code": 500}}),
]  # fmt: skip


class Filtering:
    """A gateway over an httpx transport that blocks some texts in one way and votes on others."""

    def __init__(self, status: int, body: Any, **shared: Any) -> None:
        self.asked = 0
        self._blocked = status, body
        settings = GatewaySettings(
            base_urls=parse_base_urls("https://one.example/v1", "k"), backoff_seconds=0.001
        )
        transport = httpx.MockTransport(self._answer)
        self.gateway = Gateway(settings, transport=transport, **shared)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        if b"xyzzy" in request.content:
            status, body = self._blocked
            return httpx.Response(status, json=body)
        message = {"choices": [{"message": {"content": VOTE}, "finish_reason": "stop"}]}
        return httpx.Response(200, json=message | {"usage": USAGE})

    def vote(self, text: str) -> voter.PaidVote:
        asking = voter.ask(self.gateway, GEMINI, normalise(text), Deadline.after(20))
        return loop.run(asking)


@pytest.mark.parametrize(("status", "body"), BLOCKED, ids=lambda one: json.dumps(one)[:60])
def test_a_blocked_post_is_asked_and_booked_once_and_is_a_refusal_for_good(
    status: int, body: Any
) -> None:
    there = Filtering(status, body)
    with pytest.raises(ModelRefused) as caught:
        there.vote("a text with xyzzy")
    assert there.asked == 1
    paid = GEMINI.price.cost(caught.value.tokens) if caught.value.tokens else Decimal(0)
    billed = Decimal("0.000245") if "usage" in body else Decimal(0)
    assert caught.value.cost_usd == paid == billed
    assert not caught.value.cost_estimated
    abstention = voter.abstention_of("gemini-2.5-flash", caught.value, 1)
    assert abstention.reason is AbstentionReason.REFUSED
    assert abstention.reason not in TRANSIENT
    assert abstention.retry_after_seconds is None


@pytest.mark.parametrize(("status", "body"), BLOCKED, ids=lambda one: json.dumps(one)[:60])
def test_after_a_hundred_blocked_posts_an_innocent_one_is_voted_on(
    usage: "DynamoDBServiceResource", status: int, body: Any
) -> None:
    there = Filtering(status, body, breaker=breaker.in_table(usage, "Usage"))
    for number in range(100):
        with pytest.raises(ModelRefused):
            there.vote(f"a text with xyzzy, number {number}")
    assert isinstance(there.vote("an innocent one").vote, CastVote)
    assert there.asked == 101


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_text_that_makes_a_gateway_fail_does_not_open_the_circuit_by_itself(
    usage: "DynamoDBServiceResource", status: int
) -> None:
    there = Filtering(status, {"error": "crashed"}, breaker=breaker.in_table(usage, "Usage"))
    for number in range(4):
        with pytest.raises(ModelUnavailable):
            there.vote(f"a text with xyzzy, number {number}")
    assert there.asked == 20
    assert isinstance(there.vote("an innocent one").vote, CastVote)


def test_a_throttling_inside_an_answer_is_throttling_and_free(
    refusing: Refusing, gateway: Callable[..., Gateway]
) -> None:
    body = {"choices": None, "usage": None, "error": {"code": 429, "message": "Provider error"}}
    client = gateway(refusing(200, json.dumps(body)), max_attempts=3)
    with pytest.raises(ModelThrottled) as caught:
        loop.run(voter.ask(client, GEMINI, normalise("a text"), Deadline.after(20)))
    assert refusing.asked == 3
    assert caught.value.cost_usd == 0
    assert voter.abstention_of("x", caught.value, 1).reason is AbstentionReason.THROTTLED


@pytest.mark.parametrize("status", [401, 402, 403, 404, 307])
def test_what_an_operator_has_to_mend_may_be_had_later(
    refusing: Refusing, gateway: Callable[..., Gateway], status: int
) -> None:
    client = gateway(refusing(status, "{}", {"location": "http://127.0.0.1:9/"}))
    with pytest.raises(VoteUnavailable) as caught:
        loop.run(voter.ask(client, GEMINI, normalise("a text"), Deadline.after(20)))
    abstention = voter.abstention_of("x", caught.value, 1)
    assert abstention.reason is AbstentionReason.GATEWAY_REJECTED
    assert abstention.retry_after_seconds == 300
    assert refusing.asked == 1


def test_a_vote_that_the_vendor_broke_off_may_be_had_later(
    refusing: Callable[..., str], gateway: Callable[..., Gateway]
) -> None:
    choice = {"message": {"content": VOTE}, "finish_reason": "insufficient_system_resource"}
    client = gateway(refusing(200, json.dumps({"choices": [choice], "usage": USAGE})))
    with pytest.raises(VoteUnavailable) as caught:
        loop.run(voter.ask(client, GEMINI, normalise("a text"), Deadline.after(20)))
    assert voter.abstention_of("x", caught.value, 1).reason in TRANSIENT
    assert caught.value.cost_usd == Decimal("0.000245")
