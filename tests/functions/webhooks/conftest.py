"""Fixtures for the way of an event: a stored change, the queues, the bus, the webhook."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from quorum.app.events import DeliverContainer
from quorum.app.settings import DeliverSettings
from quorum.events.queue import QueuedDelivery
from quorum.events.sending import Sender, Sent

from functions.deliver import app as deliver
from functions.events import app as publish
from functions.webhooks import app as webhooks
from tests.clock import Clock
from tests.functions.conftest import Faults, reopen
from tests.unit.test_event_changes import item, verdict

NAME, OTHER = "acme", "zeta"
HOOK = "trust-and-safety"
URL = "https://hooks.example.com/quorum?token=SECRET"

Ask = Callable[..., tuple[int, Any]]


@pytest.fixture
def resources(aws: Any, within: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> Any:
    """The queues, the bus and the key of the template."""
    within("WebhooksFunction")
    sqs = boto3.client("sqs")
    queues = {
        name: sqs.create_queue(QueueName=name)["QueueUrl"]
        for name in ("DeliveriesQueue", "BusQueue", "DeliveryDeadLetters")
    }
    boto3.client("events").create_event_bus(Name="EventBus")
    key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    for function in ("EventsFunction", "DeliverFunction", "WebhooksFunction"):
        within(function)
    monkeypatch.setenv("DELIVERIES_QUEUE", queues["DeliveriesQueue"])
    monkeypatch.setenv("BUS_QUEUE", queues["BusQueue"])
    monkeypatch.setenv("DELIVERY_DEAD_LETTERS", queues["DeliveryDeadLetters"])
    monkeypatch.setenv("WEBHOOKS_KEY", key)
    for app in (webhooks, publish, deliver):
        reopen(app)
    return aws


@pytest.fixture
def ask(resources: Any, event: Callable[[str], dict[str, Any]], context: Any) -> Ask:
    """Send a request to the routes; returns status and body."""

    def send(name: str, body: Any = None, *, tenant: str = NAME, **changes: Any) -> tuple[int, Any]:
        request = event(name) | changes
        if body is not None:
            request["body"] = json.dumps(body)
        request["requestContext"]["authorizer"] |= {"tenant": tenant, "name": "console"}
        answer = webhooks.handler(request, context)
        return answer["statusCode"], json.loads(answer["body"])

    return send


@pytest.fixture
def put(ask: Ask) -> Callable[..., Any]:
    def send(tenant: str = NAME, **changes: Any) -> Any:
        body = {"url": URL} | changes
        status, answer = ask("put_webhook.json", body, tenant=tenant)
        assert status == 200, answer
        return answer

    return send


def plain(image: Mapping[str, Any] | None) -> dict[str, Any]:
    serialize = TypeSerializer().serialize
    return {name: serialize(value) for name, value in (image or {}).items()}


def change(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> dict[str, Any]:
    """A record of the stream."""
    images = {"NewImage": plain(after)} | ({} if before is None else {"OldImage": plain(before)})
    named = {"Keys": plain({"id": after["id"]}), "SequenceNumber": f"at {after['id']}"}
    return {"eventName": "MODIFY", "dynamodb": images | named}


def stored(decision: str = "unsafe", tenant: str = NAME, **changed: Any) -> dict[str, Any]:
    one = verdict(decision, **changed)
    return item(one) | {"id": f"verdict#{tenant}#{one.id}"}


@pytest.fixture
def publishing(ask: Ask, context: Any) -> Callable[..., list[str]]:
    """Give records of the stream to the function of events; returns where it has to begin again."""

    def run(*records: dict[str, Any]) -> list[str]:
        failed = publish.handler({"Records": list(records)}, context)["batchItemFailures"]
        return [one["itemIdentifier"] for one in failed]

    return run


class Receivers:
    """What webhooks were sent, and what they answer."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, dict[str, str]]] = []
        self.answer = Sent(204)

    def send(self, url: str, body: bytes, headers: dict[str, str]) -> Sent:
        self.sent.append((url, body, headers))
        return self.answer


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Receivers:
    found = Receivers()
    monkeypatch.setattr(Sender, "send", lambda _sender, *given: found.send(*given))
    return found


@pytest.fixture
def delivering(
    ask: Ask, receivers: Receivers, context: Any, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> Callable[..., list[dict[str, Any]]]:
    """Give what is on the queue, or was, to the function that delivers; returns what stays."""
    clock.now = datetime.now(UTC).timestamp()

    def run(*given: QueuedDelivery) -> list[dict[str, Any]]:
        container = DeliverContainer(DeliverSettings.from_environment(), clock=clock)
        monkeypatch.setattr(deliver, "app", lambda: container)
        records = [
            {"messageId": f"given {number}", "body": one.model_dump_json()}
            for number, one in enumerate(given)
        ]
        sqs, settings = boto3.client("sqs"), container.settings
        kept: set[str] = set()
        stays: list[dict[str, Any]] = []
        for url in (settings.deliveries_queue, settings.bus_queue):
            received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            some = [{"messageId": one["MessageId"], "body": one["Body"]} for one in received]
            records += some
            failures = deliver.handler({"Records": records}, context)["batchItemFailures"]
            kept |= {one["itemIdentifier"] for one in failures}
            for one in received:
                if one["MessageId"] not in kept:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
            stays += [one for one in records if one["messageId"] in kept]
            records = []
        return stays

    return run


@pytest.fixture
def put_off(faults: Faults) -> Callable[[], list[QueuedDelivery]]:
    """What was sent anew, to be tried later."""

    def found() -> list[QueuedDelivery]:
        sent = [
            QueuedDelivery.model_validate_json(entry["MessageBody"])
            for request in faults.requests["SendMessageBatch"]
            for entry in request["Entries"]
            if entry.get("DelaySeconds")
        ]
        faults.requests.clear()
        return sent

    return found


Put = Callable[..., Any]
Publish = Callable[..., list[str]]
Deliver = Callable[..., list[dict[str, Any]]]
PutOff = Callable[[], list[QueuedDelivery]]


class Way(NamedTuple):
    """The whole way of an event."""

    ask: Ask
    put: Put
    publish: Publish
    deliver: Deliver
    receivers: Receivers
    put_off: PutOff
    clock: Clock
    faults: Faults

    def dead_letters(self) -> list[dict[str, Any]]:
        """What was put aside or given up, in the queue of dead letters."""
        dead = publish.app().settings.delivery_dead_letters
        found = boto3.client("sqs").receive_message(QueueUrl=dead, MaxNumberOfMessages=10)
        return [json.loads(one["Body"]) for one in found.get("Messages", [])]


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Way:
    """The whole way of an event."""
    named = {"publish": "publishing", "deliver": "delivering"}
    return Way(*(request.getfixturevalue(named.get(one, one)) for one in Way._fields))
