"""Messages on queues hold every text that the API takes, and none for which SQS refuses them."""

import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from quorum.batch.queue import message_body
from quorum.bulk.requests import QueuedItem
from quorum.core.errors import StoreUnavailable
from quorum.events.delivering import Bus
from quorum.events.publishing import PutAside
from quorum.events.queue import DeliveryQueue, QueuedDelivery, WebhookOf
from quorum.events.schema import EventType, SentTest, WebhookTest, event_id

REFUSED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters for which SQS refuses a request, by its documentation of SendMessage."""
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)

texts = given(st.text(min_size=1))
hostile = example("nul \x00, \ufffe and \uffff")


class Sqs:
    """The bodies of the messages that were sent."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send_message(self, **request: Any) -> None:
        self.bodies.append(request["MessageBody"])

    def send_message_batch(self, **request: Any) -> dict[str, Any]:
        self.bodies += [entry["MessageBody"] for entry in request["Entries"]]
        return {}


@texts
@hostile
def test_a_body_has_only_characters_that_sqs_takes_and_is_read_as_it_was(text: str) -> None:
    item = QueuedItem(tenant="acme", content=f"a{text}")
    body = message_body(item)
    assert REFUSED.search(body) is None
    assert QueuedItem.model_validate_json(body) == item


@texts
@hostile
def test_so_it_is_with_events_and_with_what_is_put_aside(text: str) -> None:
    kind = EventType.WEBHOOK_TEST
    told = SentTest(webhook=text)
    event = WebhookTest(id=event_id(kind, text), timestamp=NOW, tenant=text, data=told)
    to = WebhookOf(tenant=text, name=text)
    sqs: Any = Sqs()
    queued = [QueuedDelivery(event=event), QueuedDelivery(event=event, webhook=to)]
    DeliveryQueue(sqs, "webhooks", "bus").send(queued, NOW)
    Bus(sqs, "bus", sqs, "dead letters").dead_letter(event)
    PutAside(sqs, "dead letters").note(text, ValueError())
    *deliveries, put_aside = sqs.bodies
    assert not any(REFUSED.search(body) for body in sqs.bodies)
    assert [QueuedDelivery.model_validate_json(one) for one in deliveries] == [*queued, queued[0]]
    assert json.loads(put_aside)["put_aside"] == text


def test_what_sqs_could_not_take_is_sent_again_and_nothing_else() -> None:
    event = WebhookTest(
        id=event_id(EventType.WEBHOOK_TEST, "acme"), timestamp=NOW, data=SentTest(webhook="hooks")
    )
    sent: list[list[str]] = []

    class Busy(Sqs):
        def send_message_batch(self, **request: Any) -> dict[str, Any]:
            sent.append([entry["Id"] for entry in request["Entries"]])
            return {"Failed": [{"Id": one} for one in sent[-1][1:]]}

    sqs: Any = Busy()
    DeliveryQueue(sqs, "webhooks", "bus").send([QueuedDelivery(event=event)] * 3, NOW)
    assert sent == [["0", "1", "2"], ["1", "2"], ["2"]]
    with pytest.raises(StoreUnavailable):
        DeliveryQueue(sqs, "webhooks", "bus").send([QueuedDelivery(event=event)] * 4, NOW)
