"""The way of an event: a stored change, the queues, the bus, and the webhook."""

import json
import re
import threading
import time
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from quorum.aws import dynamo
from quorum.core.errors import StoreUnavailable
from quorum.events import delivering, publishing
from quorum.events.changes import events_of
from quorum.events.pauses import TRIES
from quorum.events.queue import DeliveryQueue, QueuedDelivery
from quorum.events.sending import DeliveryFailure, Sender, Sent
from quorum.events.telling_again import TellingAgain, ToldAgain
from quorum.events.webhooks import PAUSE_SECONDS, TIME_OUTS
from standardwebhooks import Webhook

from functions.deliver import app as deliver
from functions.events import app as publish
from functions.webhooks import app as webhooks
from tests.clock import Clock
from tests.functions.conftest import Faults
from tests.functions.webhooks.conftest import (
    HOOK,
    NAME,
    OTHER,
    URL,
    Ask,
    Deliver,
    Publish,
    Put,
    PutOff,
    Receivers,
    Way,
    change,
    stored,
)
from tests.unit.test_event_changes import review


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
    way: Way,
) -> None:
    way.put()
    way.publish(change(None, stored()))
    way.receivers.answer = Sent(500, DeliveryFailure.STATUS)
    assert way.deliver() == []
    for tries in range(1, TRIES):
        (waiting,) = way.put_off()
        assert waiting.tries == tries
        # Sent anew before it is due, it is sent anew again and not tried.
        assert way.deliver(waiting) == []
        assert way.put_off() == [waiting]
        assert len(way.receivers.sent) == tries
        assert waiting.due_at is not None
        way.clock.now = waiting.due_at.timestamp()
        assert way.deliver(waiting) == []
    # After the last try the event is kept with the reason.
    assert way.put_off() == []
    _, listed = way.ask("get_dead_letters.json")
    (letter,) = listed["dead_letters"]
    assert (letter["status"], letter["failure"]) == (500, "status")

    way.receivers.answer = Sent(204)
    boto3.client("sqs").purge_queue(QueueUrl=webhooks.app().settings.deliveries_queue)
    assert way.ask("post_webhook_redrive.json") == (202, {"sent": 1, "more": False})
    assert way.deliver() == []
    assert way.receivers.sent[-1][2]["webhook-id"] == letter["event_id"]
    assert way.ask("get_dead_letters.json")[1]["dead_letters"] == []


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
    publishing: Publish, delivering: Deliver, faults: Faults, put_off: PutOff, clock: Clock
) -> None:
    publishing(change(None, stored()))
    faults.fail("PutEvents")
    assert delivering() == []
    (request,) = faults.requests["PutEvents"]
    (entry,) = request["Entries"]
    assert (entry["Source"], entry["DetailType"]) == ("quorum", "verdict.decided")
    assert json.loads(entry["Detail"])["data"]["verdict_id"] == "v1"
    (waiting,) = put_off()
    assert (waiting.tries, waiting.webhook) == (1, None)
    # After the last try it is a dead letter that can be moved back.
    clock.now += 24 * 3_600
    assert delivering(waiting.model_copy(update={"tries": TRIES - 1})) == []
    dead = deliver.app().settings.delivery_dead_letters
    (letter,) = boto3.client("sqs").receive_message(QueueUrl=dead)["Messages"]
    moved = QueuedDelivery.model_validate_json(letter["Body"])
    assert (moved.tries, moved.due_at) == (0, None)
    assert moved.event == waiting.event


@pytest.mark.parametrize("operation", ["Query", "TransactWriteItems", "SendMessageBatch"])
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
    told = {"put_aside": "verdict#acme#broken", "why": "ValidationError"}
    assert json.loads(letter["Body"]) == told


@pytest.mark.parametrize("document", ['{"types": ["of.newer.code"]}', "not JSON"])
def test_a_webhook_that_cannot_be_read_holds_up_no_other_and_loses_nothing(
    way: Way, aws: Any, document: str
) -> None:
    way.put()
    newer = {"pathParameters": {"webhook": "newer"}, "path": "/webhooks/newer"}
    assert way.ask("put_webhook.json", {"url": URL}, **newer)[0] == 200
    table, key = aws.Table("WebhooksTable"), {"tenant": NAME, "entry": "webhook#newer"}
    item = table.get_item(Key=key)["Item"]
    table.put_item(Item=item | {"document": document})
    way.publish(change(None, stored()))
    # Its own delivery stays on the queue, until code that can read it takes it.
    (stays,) = way.deliver()
    assert json.loads(stays["body"])["webhook"]["name"] == "newer"
    assert len(way.receivers.sent) == 1
    assert [one["name"] for one in way.ask("get_webhooks.json")[1]["webhooks"]] == [HOOK]
    status, answer = way.ask("get_webhook.json", **newer)
    assert (status, answer["error"]["code"]) == (409, "webhook_unreadable")
    # Once it can be read it is asked what it wants.
    again = QueuedDelivery.model_validate_json(stays["body"])
    for wanted, sent in ("review.decided", 1), ("verdict.decided", 2):
        readable = json.loads(str(item["document"])) | {"types": [wanted]}
        table.put_item(Item=item | {"document": json.dumps(readable)})
        assert way.deliver(again) == []
        assert len(way.receivers.sent) == sent


@pytest.mark.parametrize("rule", ['{"verdicts": [{"of_newer_code": 1}]}', "not JSON"])
def test_a_rule_that_cannot_be_read_lets_no_verdict_out_and_tells_the_operator(
    way: Way, aws: Any, rule: str
) -> None:
    way.put()
    aws.Table("WebhooksTable").put_item(Item={"tenant": NAME, "entry": "rule", "document": rule})
    reviewed = stored("safe") | {"reviews": [review("unsafe").model_dump_json()]}
    assert way.publish(change(None, stored()), change(stored("safe"), reviewed)) == []
    assert way.deliver() == []
    # Reviews are events whatever the rule says.
    told = sorted(json.loads(body)["type"] for _, body, _ in way.receivers.sent)
    assert told == ["decision.overturned", "review.decided"]
    assert way.dead_letters() == [{"put_aside": "verdict#acme#v1", "why": "RuleUnreadable"}]
    status, answer = way.ask("get_event_rule.json")
    assert (status, answer["error"]["code"]) == (409, "rule_unreadable")
    assert way.ask("put_event_rule.json", {"verdicts": []})[0] == 200
    assert way.ask("get_event_rule.json") == (200, {"verdicts": []})


def test_verdicts_that_a_rule_put_aside_are_told_again_once_it_can_be_read(
    way: Way, aws: Any
) -> None:
    way.put()
    item = stored() | {"reviews": [review("safe").model_dump_json()]}
    table = aws.Table("VerdictsTable")
    table.put_item(Item=item)
    rule = {"tenant": NAME, "entry": "rule", "document": "not JSON"}
    aws.Table("WebhooksTable").put_item(Item=rule)
    way.publish(change(None, stored()))
    assert way.ask("put_event_rule.json", {"verdicts": [{"min_score": 0.0}]})[0] == 200
    sqs, dead = boto3.client("sqs"), publish.app().settings.delivery_dead_letters
    for body in ('{"put_aside": "verdict#acme#gone", "why": "RuleUnreadable"}', '{"event": {}}'):
        sqs.send_message(QueueUrl=dead, MessageBody=body)
    again = TellingAgain(sqs, dead, aws, "VerdictsTable")
    assert again.all() == ToldAgain(told=1, gone=1, left=1)
    marked = table.get_item(Key={"id": item["id"]})["Item"]
    way.publish(change(item, marked))
    way.deliver()
    told = [json.loads(body)["type"] for _, body, _ in way.receivers.sent]
    assert sorted(told) == ["decision.overturned", "review.decided", "verdict.decided"]
    assert "Item" not in table.get_item(Key={"id": "verdict#acme#gone"})
    assert again.all() == ToldAgain(told=0, gone=0, left=0)  # the other is hidden for a while


def test_what_is_told_again_has_the_same_ids_and_is_listed_once(way: Way) -> None:
    way.put()
    for _ in range(2):
        way.publish(change(None, stored()))
        way.clock.now += 60
        way.deliver()
    first, second = (headers["webhook-id"] for _, _, headers in way.receivers.sent)
    assert first == second
    webhooks.app().clock = lambda: way.clock.now + 60
    assert [one["id"] for one in way.ask("get_events.json")[1]["events"]] == [first]


def test_where_a_batch_fails_it_begins_again_and_what_was_published_is_not_sent_again(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, sent = DeliveryQueue.send, []

    def fail_at_the_second(self: DeliveryQueue, *given: Any) -> None:
        sent.append(given)
        if len(sent) == 2:
            raise StoreUnavailable("the queue does not take the deliveries")
        send(self, *given)

    monkeypatch.setattr(DeliveryQueue, "send", fail_at_the_second)
    records = [change(None, stored(id=f"v{number:02}")) for number in range(25)]
    (again,) = way.publish(*records)
    assert again == "at verdict#acme#v10"
    assert way.publish(*records[10:]) == []
    ids = [one.event.id for given in (sent[0], *sent[2:]) for one in given[0]]
    assert len(ids) == len(set(ids)) == 25


def test_where_there_is_no_time_left_it_begins_again(
    way: Way, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: 15_000)
    records = [change(None, stored(id=f"v{number:02}")) for number in range(25)]
    # the first group is published in any case: every invocation gets further
    assert way.publish(*records) == ["at verdict#acme#v10"]


@pytest.mark.parametrize(
    "error", [RecursionError(), AttributeError("x"), AssertionError(), UnicodeError()]
)
def test_whatever_one_record_raises_the_others_are_published(
    way: Way, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def read(before: Any, after: Any) -> Any:
        if after["id"].endswith("broken"):
            raise error
        return events_of(before, after)

    monkeypatch.setattr(publishing, "events_of", read)
    records = [change(None, stored(id=name)) for name in ("v1", "broken", "v2")]
    assert way.publish(*records) == []
    assert [entry["put_aside"] for entry in way.dead_letters()] == ["verdict#acme#broken"]
    assert len(way.faults.requests["TransactWriteItems"]) == 2


@pytest.mark.parametrize("operation", ["TransactWriteItems", "SendMessageBatch"])
@pytest.mark.parametrize(
    ("code", "refused"),
    [
        ("ValidationException", True),
        ("InvalidMessageContents", True),
        ("ThrottlingException", False),
        ("AccessDeniedException", False),
        ("InternalServerError", False),
    ],
)
def test_what_aws_will_never_take_is_put_aside_and_what_may_pass_comes_again(
    way: Way,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    code: str,
    refused: bool,
) -> None:
    call: Any = vars(BaseClient)["_make_api_call"]

    def answer(client: Any, name: str, request: Any) -> Any:
        if name == operation and "broken" in json.dumps(request, default=str):
            raise ClientError({"Error": {"Code": code}}, name)
        return call(client, name, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", answer)
    monkeypatch.setattr(dynamo, "TRYING_SECONDS", 0)
    records = [change(None, stored(id=name)) for name in ("v1", "broken", "v2")]
    if not refused:
        with pytest.raises(StoreUnavailable):
            way.publish(*records)
        assert way.dead_letters() == []
        return
    assert way.publish(*records) == []
    assert [entry["put_aside"] for entry in way.dead_letters()] == ["verdict#acme#broken"]
    bus = publish.app().settings.bus_queue
    sent = boto3.client("sqs").receive_message(QueueUrl=bus, MaxNumberOfMessages=10)["Messages"]
    told = [json.loads(one["Body"])["event"]["data"]["verdict_id"] for one in sent]
    assert sorted(told) == ["v1", "v2"]


def test_a_webhook_that_keeps_timing_out_takes_one_worker_a_minute_until_it_answers(
    way: Way,
) -> None:
    way.put()
    way.publish(*(change(None, stored(id=f"v{number}")) for number in range(8)))
    queue = publish.app().settings.deliveries_queue
    queued = [
        QueuedDelivery.model_validate_json(entry["MessageBody"])
        for request in way.faults.requests["SendMessageBatch"]
        for entry in request["Entries"]
        if request["QueueUrl"] == queue
    ]
    boto3.client("sqs").purge_queue(QueueUrl=queue)
    way.receivers.answer = Sent(failure=DeliveryFailure.TIMED_OUT)
    for one in queued:
        assert way.deliver(one) == []
    assert len(way.receivers.sent) == TIME_OUTS
    waiting = way.put_off()
    assert [one.tries for one in waiting] == [1] * 8  # not to be asked is to have timed out

    way.clock.now += PAUSE_SECONDS
    assert way.deliver(*waiting) == []
    assert len(way.receivers.sent) == TIME_OUTS + 1
    # A test is sent all the same.
    assert way.ask("post_webhook_test.json")[0] == 202
    assert way.deliver() == []
    assert len(way.receivers.sent) == TIME_OUTS + 2
    # It answers: from then on all are sent.
    way.receivers.answer = Sent(204)
    way.clock.now += PAUSE_SECONDS
    assert way.deliver(waiting[0]) == []
    assert way.deliver(*waiting[1:]) == []
    assert len(way.receivers.sent) == TIME_OUTS + 2 + 8


@pytest.mark.parametrize("operation", ["GetItem", "Decrypt"])
def test_while_a_store_is_away_a_delivery_stays_and_none_of_its_tries_is_used(
    way: Way, operation: str
) -> None:
    way.put()
    way.publish(change(None, stored()))
    way.faults.fail(operation)
    (stays,) = way.deliver()
    queued = QueuedDelivery.model_validate_json(stays["body"])
    boto3.client("sqs").purge_queue(QueueUrl=deliver.app().settings.deliveries_queue)
    for _ in range(TRIES):
        assert len(way.deliver(queued)) == 1
    assert way.receivers.sent == []
    way.faults.operations.clear()
    way.receivers.answer = Sent(500, DeliveryFailure.STATUS)
    assert way.deliver(queued) == []
    assert [one.tries for one in way.put_off()] == [1]


def test_messages_for_webhooks_name_their_tenants_group_and_the_bus_has_a_queue_of_its_own(
    way: Way,
) -> None:
    way.put()
    way.put(OTHER)
    way.publish(change(None, stored()), change(None, stored(tenant=OTHER)))
    settings = publish.app().settings
    by_queue = {one["QueueUrl"]: one["Entries"] for one in way.faults.requests["SendMessageBatch"]}
    assert by_queue.keys() == {settings.bus_queue, settings.deliveries_queue}
    groups = [one["MessageGroupId"] for one in by_queue[settings.deliveries_queue]]
    assert len(set(groups)) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in groups)


def test_an_invocation_ends_before_its_deadline_whatever_takes_long(
    way: Way, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    way.put()
    slow = threading.Event()
    way.publish(change(None, stored()), change(None, stored(id="v2")))

    def send(_sender: Any, _url: str, body: bytes, _headers: Any) -> Sent:
        if json.loads(body)["data"]["verdict_id"] == "v2":
            slow.wait(20)
        return Sent(204)

    monkeypatch.setattr(Sender, "send", send)
    monkeypatch.setattr(context, "get_remaining_time_in_millis", lambda: 10_000)
    monkeypatch.setattr(delivering, "SENDING_ANEW_SECONDS", 9.0)
    began = time.monotonic()
    (stays,) = way.deliver()
    assert json.loads(stays["body"])["event"]["data"]["verdict_id"] == "v2"
    assert time.monotonic() - began < 5
    slow.set()


def test_a_last_delivery_of_newer_code_keeps_no_event_from_its_webhook(way: Way, aws: Any) -> None:
    way.put()
    table, key = aws.Table("WebhooksTable"), {"tenant": NAME, "entry": f"webhook#{HOOK}"}
    told = json.dumps({"event_id": "evt", "failure": "of_newer_code"})
    table.put_item(Item=table.get_item(Key=key)["Item"] | {"last": told})
    way.publish(change(None, stored()))
    assert way.deliver() == []
    assert len(way.receivers.sent) == 1


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
