"""Events as deployed: what is stored reaches the event bus and a webhook."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from quorum.aws.keys import Caller
from quorum.events.recent import SETTLING
from standardwebhooks import Webhook

from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says
from tests.e2e.test_panels import somebody

WAITING_SECONDS = 60
"""Seconds for an event: three functions start their processes."""

Received = list[tuple[dict[str, str], str]]


@pytest.fixture
def received(webhook_port: int) -> Iterator[Received]:
    """What a receiver is sent: headers and bodies."""
    found: Received = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            found.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_given: Any) -> None:
            """Write no log."""

    with HTTPServer(("127.0.0.1", webhook_port), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def told(received: Received, secret: str, kind: str) -> dict[str, Any]:
    """The first event of a kind, once it has come, with its signature checked."""
    until = time.monotonic() + WAITING_SECONDS
    while time.monotonic() < until:
        for headers, body in received:
            event: dict[str, Any] = Webhook(secret).verify(body, headers)
            if event["type"] == kind:
                return event
        time.sleep(0.2)
    raise AssertionError(f"no {kind} among {[body for _, body in received]}")


@pytest.fixture
def bus(stack: Stack) -> Iterator[str]:
    """A queue of what is put on the event bus."""
    sqs, events = stack.client("sqs"), stack.client("events")
    url = sqs.create_queue(QueueName="bus-listener")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    name = stack.outputs["EventBus"]
    pattern = json.dumps({"source": ["quorum"]})
    events.put_rule(Name="all", EventBusName=name, EventPattern=pattern)
    target = {"Id": "queue", "Arn": arn["QueueArn"]}
    events.put_targets(Rule="all", EventBusName=name, Targets=[target])
    yield url
    events.remove_targets(Rule="all", EventBusName=name, Ids=["queue"])
    events.delete_rule(Name="all", EventBusName=name)
    sqs.delete_queue(QueueUrl=url)


def test_a_receiver_that_checks_signatures_gets_a_verdict_and_its_review_as_does_the_bus(
    stack: Stack, recorded: Recorded, received: Received, webhook_port: int, bus: str
) -> None:
    name = somebody()
    member = Api(stack, stack.new_key(Caller(tenant=name)))
    operator = Api(stack, stack.new_key(Caller(tenant=name, role="operator")))
    hook = {"url": f"http://127.0.0.1:{webhook_port}/hook"}
    put = operator.put("webhooks/here", hook)
    assert put.status_code == 200, put.text
    secret = put.json()["secret"]

    text = says(recorded, f"{name} is odd", gpt_4_1="unsafe", gemini_2_5_flash="needs_review")
    verdict = member.judge(text)
    event = told(received, secret, "verdict.decided")
    assert event["data"]["verdict_id"] == verdict["id"]
    assert event["data"]["decision"] == "needs_review"
    assert text not in json.dumps(event)

    review = {"decision": "unsafe", "reviewer": "ada@example.com", "note": text}
    assert operator.post(f"verdicts/{verdict['id']}/review", review).status_code == 200
    event = told(received, secret, "review.decided")
    assert event["data"]["decision"] == "unsafe"
    assert text not in json.dumps(event)

    sqs, on_bus = stack.client("sqs"), set[str]()
    until = time.monotonic() + WAITING_SECONDS
    while not {"verdict.decided", "review.decided"} <= on_bus and time.monotonic() < until:
        answer = sqs.receive_message(QueueUrl=bus, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        messages = [json.loads(one["Body"]) for one in answer.get("Messages", [])]
        on_bus |= {one["detail-type"] for one in messages if one["detail"]["tenant"] == name}
    assert {"verdict.decided", "review.decided"} <= on_bus

    tested = operator.post("webhooks/here/test", {})
    assert tested.status_code == 202, tested.text
    event = told(received, secret, "webhook.test")
    assert event["id"] == tested.json()["event_id"]
    time.sleep(SETTLING.total_seconds())
    listed = operator.get("events").json()["events"]
    assert [one["type"] for one in listed] == ["verdict.decided", "review.decided"]
