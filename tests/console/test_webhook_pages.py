"""The page of webhooks: what became of the last delivery, a test, and what was not taken."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from quorum.audit.trail import AuditFilter
from quorum.events.changes import events_of
from quorum.events.recent import RecentEvents, Undelivered
from quorum.events.schema import EventType
from quorum.events.sending import DeliveryFailure
from quorum.events.webhooks import Delivery, Webhook, key_of

from tests.console.conftest import ATTACK, Client, Issue
from tests.functions.webhooks.conftest import stored

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
def queue(container: "ConsoleContainer") -> str:
    """The queue of deliveries, and a webhook that did not take an event."""
    url = str(boto3.client("sqs").create_queue(QueueName="DeliveriesQueue")["QueueUrl"])
    container.settings = container.settings.model_copy(update={"deliveries_queue": url})
    last = Delivery(
        event_id="evt_1",
        type=EventType.VERDICT_DECIDED,
        at=NOW,
        tries=9,
        failure=DeliveryFailure.TIMED_OUT,
    )
    hook = Webhook(
        url=f"https://hooks.example.com/{ATTACK.split('>', 1)[0]}>?token=SECRET",
        secrets=(),
        created_at=NOW,
        changed_at=NOW,
    )
    item: dict[str, Any] = {
        "document": hook.model_dump_json(),
        "revision": 1,
        "last": last.model_dump_json(),
    }
    container.dynamodb.Table("WebhooksTable").put_item(Item=key_of("acme", "moderators") | item)
    (event,) = events_of(None, stored())
    letter = Undelivered(
        event_id=event.id,
        type=event.type,
        failed_at=NOW,
        failure=DeliveryFailure.TIMED_OUT,
    )
    RecentEvents(container.dynamodb, "EventsTable").dead_letter("acme", "moderators", event, letter)
    return url


def sent_to(queue: str) -> list[dict[str, Any]]:
    found = boto3.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return [json.loads(one["Body"]) for one in found.get("Messages", [])]


def test_a_webhook_is_tested_and_what_it_did_not_take_is_sent_again(
    ada: Client, queue: str, container: "ConsoleContainer"
) -> None:
    ada.get("webhooks")
    assert ada.status == 200, ada.text
    assert "Timed out" in ada.text
    assert "Timed out: 1" in ada.text
    assert "SECRET" not in ada.body
    assert "<script>alert" not in ada.body
    ada.post("webhooks/test", {"webhook": "moderators"})
    assert "A test is on its way to moderators." in ada.text
    assert [one["event"]["type"] for one in sent_to(queue)] == ["webhook.test"]
    ada.post("webhooks/redrive", {"webhook": "moderators"})
    assert "On their way to moderators again: 1" in ada.text
    assert [one["event"]["type"] for one in sent_to(queue)] == ["verdict.decided"]
    assert "Timed out: 1" not in ada.get("webhooks").text
    entries = container.audit.page("acme", AuditFilter(subject="webhook/moderators")).entries
    assert [(str(one.action), one.by) for one in entries] == [
        ("webhook.redriven", "ada"),
        ("webhook.tested", "ada"),
    ]


@pytest.mark.parametrize("name", ["none-such", "", "../x", "a" * 65])
def test_a_webhook_that_is_not_the_tenants_is_sent_nothing(
    client: Client, issue: Issue, queue: str, name: str
) -> None:
    client.sign_in(issue("eve", tenant="other"))
    assert "No webhooks" in client.get("webhooks").text
    for step in ("test", "redrive"):
        client.get("webhooks")
        client.post(f"webhooks/{step}", {"webhook": name})
        assert client.status in {400, 404}
        client.get("webhooks")
        assert client.post(f"webhooks/{step}", {"webhook": "moderators"}).status == 404
    assert sent_to(queue) == []
