"""Webhooks over HTTP, and the way of an event: a stored change, the queue, the bus, the webhook."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from boto3.dynamodb.types import TypeSerializer
from quorum.app.events import DeliverContainer
from quorum.app.settings import DeliverSettings
from quorum.events.pauses import TRIES
from quorum.events.sending import DeliveryFailure, Sender, Sent
from standardwebhooks import Webhook

from functions.deliver import app as deliver
from functions.events import app as publish
from functions.webhooks import app as webhooks
from tests.clock import Clock
from tests.functions.conftest import Faults, reopen
from tests.unit.test_event_changes import item, review, verdict

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
        for name in ("DeliveriesQueue", "DeliveryDeadLetters")
    }
    boto3.client("events").create_event_bus(Name="EventBus")
    key = boto3.client("kms").create_key()["KeyMetadata"]["KeyId"]
    for function in ("EventsFunction", "DeliverFunction", "WebhooksFunction"):
        within(function)
    monkeypatch.setenv("DELIVERIES_QUEUE", queues["DeliveriesQueue"])
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
    return {"eventName": "MODIFY", "dynamodb": images}


def stored(decision: str = "unsafe", tenant: str = NAME, **changed: Any) -> dict[str, Any]:
    one = verdict(decision, **changed)
    return item(one) | {"id": f"verdict#{tenant}#{one.id}"}


@pytest.fixture
def publishing(ask: Ask, context: Any) -> Callable[..., None]:
    """Give records of the stream to the function of events."""
    return lambda *records: publish.handler({"Records": list(records)}, context)


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

    def run(tries: int = 1, given: Sequence[dict[str, Any]] = ()) -> list[dict[str, Any]]:
        container = DeliverContainer(DeliverSettings.from_environment(), clock=clock)
        monkeypatch.setattr(deliver, "app", lambda: container)
        url = container.settings.deliveries_queue
        sqs = boto3.client("sqs")
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        records = [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": {"ApproximateReceiveCount": str(tries)},
            }
            for one in received
        ]
        count = {"attributes": {"ApproximateReceiveCount": str(tries)}}
        records += [one | count for one in given]
        failures = deliver.handler({"Records": records}, context)["batchItemFailures"]
        kept = {one["itemIdentifier"] for one in failures}
        for one in received:
            if one["MessageId"] not in kept:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return [one for one in records if one["messageId"] in kept]

    return run


Put = Callable[..., Any]
Publish = Callable[..., None]
Deliver = Callable[..., list[dict[str, Any]]]


# ---- routes ----


def test_a_secret_is_shown_when_it_is_new_and_never_again(ask: Ask, put: Put, aws: Any) -> None:
    secret = put()["secret"]
    assert secret.startswith("whsec_")
    assert "secret" not in put(enabled=False)
    status, shown = ask("get_webhook.json")
    assert (status, shown["enabled"], shown["url"]) == (200, False, URL)
    _, listed = ask("get_webhooks.json")
    assert [one["name"] for one in listed["webhooks"]] == [HOOK]
    status, rotated = ask("post_webhook_rotation.json")
    assert status == 201
    assert rotated["secret"] != secret
    assert rotated["old_secret_until"] is not None
    kept = json.dumps(aws.Table("WebhooksTable").scan()["Items"], default=str)
    for one in (secret, rotated["secret"]):
        assert one.removeprefix("whsec_") not in kept
        assert one not in json.dumps([listed, shown])


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "url"),
        ({"url": "https://localhost/"}, "url"),
        ({"types": ["webhook.test"]}, None),
        ({"types": []}, "types"),
        ({"verdicts": [{}]}, None),
        ({"verdicts": [{"min_score": 2}]}, "verdicts.0.min_score"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_webhook_that_cannot_be_is_refused_with_its_field(
    ask: Ask, changed: dict[str, Any], field: str | None
) -> None:
    status, answer = ask("put_webhook.json", {"url": URL} | changed)
    assert status == 400, answer
    assert field is None or answer["error"]["field"] == field
    assert "169.254" not in json.dumps(answer)


def test_a_tenant_has_twenty_webhooks_at_most(ask: Ask) -> None:
    for number in range(21):
        names = {"webhook": f"hook-{number}"}
        path = f"/webhooks/hook-{number}"
        status, answer = ask("put_webhook.json", pathParameters=names, path=path)
        assert (status == 200) is (number < 20), answer
    assert answer["error"]["limit"] == 20


@pytest.mark.parametrize(
    "name",
    [
        *("get_webhook.json", "delete_webhook.json", "post_webhook_rotation.json"),
        *("post_webhook_test.json", "get_dead_letters.json", "post_webhook_redrive.json"),
    ],
)
def test_another_tenants_webhook_is_not_found(ask: Ask, put: Put, name: str) -> None:
    put()
    status, answer = ask(name, tenant=OTHER)
    assert (status, answer["error"]["code"]) == (404, "webhook_not_found")
    assert ask(name)[0] < 300


def test_every_change_is_in_the_audit_trail_without_secrets(ask: Ask, put: Put, aws: Any) -> None:
    put()
    for name in ("post_webhook_rotation.json", "post_webhook_test.json", "put_event_rule.json"):
        assert ask(name)[0] < 300
    assert ask("delete_webhook.json")[0] == 200
    entries = [str(one["entry"]) for one in aws.Table("AuditTable").scan()["Items"]]
    actions = sorted(json.loads(one)["action"] for one in entries)
    assert actions == [
        *("event_rule.put", "webhook.deleted", "webhook.put", "webhook.rotated", "webhook.tested")
    ]
    assert "SECRET" not in json.dumps(entries)
    assert "whsec_" not in json.dumps(entries)
    assert ask("get_webhook.json")[0] == 404


# ---- from a change to its receivers ----


def test_a_verdict_reaches_the_bus_the_list_and_a_webhook_that_checks_the_signature(
    ask: Ask, put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers, clock: Clock
) -> None:
    secret = put()["secret"]
    publishing(change(None, stored()))
    assert delivering() == []
    ((url, body, headers),) = receivers.sent
    assert url == URL
    told = Webhook(secret).verify(body, headers)
    assert (told["type"], told["data"]["verdict_id"]) == ("verdict.decided", "v1")
    assert headers["webhook-id"] == told["id"]
    webhooks.app().clock = lambda: clock.now + 10
    status, page = ask("get_events.json")
    assert (status, [one["id"] for one in page["events"]]) == (200, [told["id"]])
    _, later = ask("get_events.json", queryStringParameters={"next": page["next"]})
    assert later == {"events": [], "next": page["next"]}
    _, other = ask("get_events.json", tenant=OTHER)
    assert other["events"] == []
    last = ask("get_webhook.json")[1]["last_delivery"]
    assert (last["event_id"], last["status"], last["failure"]) == (told["id"], 204, None)


def test_what_the_tenants_rule_or_the_webhook_leaves_out_is_not_sent(
    ask: Ask, put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers
) -> None:
    put(types=["verdict.decided"], verdicts=[{"categories": ["sexual"]}])
    put(OTHER, enabled=False)
    publishing(change(None, stored("safe")), change(None, stored(tenant=OTHER)))
    publishing(
        change(stored("safe"), stored("safe") | {"reviews": [review("safe").model_dump_json()]})
    )
    delivering()
    assert receivers.sent == []
    every = {"verdicts": [{"min_score": 0}]}
    assert ask("put_event_rule.json", every)[0] == 200
    assert ask("get_event_rule.json")[1]["verdicts"][0]["min_score"] == 0
    put(types=["verdict.decided"])
    publishing(change(None, stored("safe")))
    delivering()
    assert len(receivers.sent) == 1


def test_while_a_secret_is_replaced_both_sign_and_a_day_later_only_the_new_one(
    ask: Ask, put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers, clock: Clock
) -> None:
    old = put()["secret"]
    new = ask("post_webhook_rotation.json")[1]["secret"]
    publishing(change(None, stored()))
    delivering()
    _, body, headers = receivers.sent[-1]
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    clock.now += 24 * 3_600 + 60
    publishing(change(None, stored(id="v2")))
    delivering()
    assert " " not in receivers.sent[-1][2]["webhook-signature"]


def test_a_delivery_that_fails_comes_back_and_is_at_last_a_dead_letter_that_can_be_sent_again(
    ask: Ask,
    put: Put,
    publishing: Publish,
    delivering: Deliver,
    receivers: Receivers,
    faults: Faults,
) -> None:
    put()
    publishing(change(None, stored()))
    receivers.answer = Sent(500, DeliveryFailure.STATUS)
    (waiting,) = delivering()
    (hidden,) = faults.requests["ChangeMessageVisibility"]
    assert 4 <= hidden["VisibilityTimeout"] <= 6
    # The last try: the message is done with, and the event kept with the reason.
    assert delivering(TRIES, [waiting]) == []
    _, listed = ask("get_dead_letters.json")
    (letter,) = listed["dead_letters"]
    assert (letter["status"], letter["failure"]) == (500, "status")

    receivers.answer = Sent(204)
    boto3.client("sqs").purge_queue(QueueUrl=webhooks.app().settings.deliveries_queue)
    assert ask("post_webhook_redrive.json") == (202, {"sent": 1, "more": False})
    assert delivering() == []
    assert receivers.sent[-1][2]["webhook-id"] == letter["event_id"]
    assert ask("get_dead_letters.json")[1]["dead_letters"] == []


def test_a_receiver_that_is_gone_is_not_tried_again_and_one_switched_off_is_not_tried_at_all(
    ask: Ask, put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers
) -> None:
    put()
    publishing(change(None, stored()))
    receivers.answer = Sent(410, DeliveryFailure.GONE)
    assert delivering() == []
    assert len(ask("get_dead_letters.json")[1]["dead_letters"]) == 1
    publishing(change(None, stored(id="v2")))
    put(enabled=False)
    assert delivering() == []
    assert len(receivers.sent) == 1


def test_an_event_that_the_bus_throttles_stays_on_the_queue(
    publishing: Publish, delivering: Deliver, faults: Faults
) -> None:
    publishing(change(None, stored()))
    faults.fail("PutEvents")
    assert len(delivering()) == 1
    assert faults.requests["ChangeMessageVisibility"]
    (request,) = faults.requests["PutEvents"]
    (entry,) = request["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("quorum", "verdict.decided")
    assert json.loads(entry["Detail"])["data"]["verdict_id"] == "v1"


@pytest.mark.parametrize("operation", ["Query", "PutItem", "SendMessageBatch"])
def test_while_a_store_is_down_the_streams_records_come_again(
    put: Put, publishing: Publish, faults: Faults, operation: str
) -> None:
    put()
    faults.fail(operation)
    with pytest.raises(Exception, match=r"could not|no event|deliver|queue"):
        publishing(change(None, stored()))


def test_a_change_that_cannot_be_read_is_put_aside_by_its_key_and_holds_nothing_up(
    put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers
) -> None:
    put()
    broken = stored() | {"verdict": '{"content": "SECRET"}', "id": "verdict#acme#broken"}
    publishing(change(None, broken), change(None, stored()))
    delivering()
    assert len(receivers.sent) == 1
    dead = publish.app().settings.delivery_dead_letters
    (letter,) = boto3.client("sqs").receive_message(QueueUrl=dead)["Messages"]
    assert letter["Body"] == "verdict#acme#broken"


@pytest.mark.parametrize("document", ['{"types": ["of.newer.code"]}', "not JSON"])
def test_a_webhook_that_cannot_be_read_holds_up_no_other(
    put: Put,
    publishing: Publish,
    delivering: Deliver,
    receivers: Receivers,
    aws: Any,
    document: str,
) -> None:
    put()
    table = aws.Table("WebhooksTable")
    (item,) = table.scan()["Items"]
    table.put_item(Item=item | {"entry": f"{item['entry']}-newer", "document": document})
    publishing(change(None, stored()))
    delivering()
    assert len(receivers.sent) == 1


def test_what_was_delivered_is_not_sent_again_because_it_could_not_be_noted(
    put: Put, publishing: Publish, delivering: Deliver, receivers: Receivers, faults: Faults
) -> None:
    put()
    publishing(change(None, stored()))
    faults.fail("UpdateItem")
    assert delivering() == []
    assert len(receivers.sent) == 1


def test_alerts_are_events_of_their_tenant_and_a_drift_is_one_for_every_webhook_that_wants_it(
    put: Put, context: Any, delivering: Deliver, receivers: Receivers, ask: Ask
) -> None:
    put(types=["budget.alert", "voter.drifted"])
    put(OTHER, types=["budget.alert", "voter.drifted"])
    budget = {"alert": "tenant", "limit_usd": "20", "spent_usd": "20.1", "day": "2026-11-27"}
    everybody = {"alert": "day", "limit_usd": "90", "spent_usd": "91", "day": "2026-11-27"}
    voter = [{"name": "voter", "value": "gpt-4.1"}]
    trigger = {"MetricName": "AgreementWithVerdict", "Threshold": 0.7, "Dimensions": voter}
    drift = {"NewStateValue": "ALARM", "Trigger": trigger}
    messages = [budget | {"tenant": NAME}, everybody, drift]
    records = [
        {"Sns": {"Message": json.dumps(one), "Timestamp": "2026-11-27T12:00:00.000Z"}}
        for one in messages
    ]
    publish.handler({"Records": records}, context)
    assert delivering() == []
    told = sorted(json.loads(body)["type"] for _, body, _ in receivers.sent)
    assert told == ["budget.alert", "voter.drifted", "voter.drifted"]


def test_a_test_is_sent_to_the_webhook_alone_and_is_no_event(
    ask: Ask, put: Put, delivering: Deliver, receivers: Receivers
) -> None:
    secret = put(types=["review.decided"])["secret"]
    status, testing = ask("post_webhook_test.json")
    assert status == 202
    delivering()
    ((_, body, headers),) = receivers.sent
    assert Webhook(secret).verify(body, headers)["id"] == testing["event_id"]
    assert ask("get_events.json")[1]["events"] == []
    assert ask("get_webhook.json")[1]["last_delivery"]["type"] == "webhook.test"


@pytest.mark.parametrize("cursor", ["x", "2026-11-27T12:00:00.000000+00:00", "dead#", "'"])
def test_a_made_up_cursor_is_refused(ask: Ask, cursor: str) -> None:
    status, answer = ask("get_events.json", queryStringParameters={"next": cursor})
    assert (status, answer["error"]["field"]) == (400, "next")
