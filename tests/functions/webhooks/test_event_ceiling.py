"""Write units under each key of events and webhooks: how fast one tenant's verdicts can be told."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from quorum.events.changes import events_of
from quorum.events.recent import RecentEvents
from quorum.events.sending import DeliveryFailure
from quorum.events.webhooks import Delivery, Webhooks, key_of

from tests.clock import Clock
from tests.functions.conftest import make_tables
from tests.unit.test_event_changes import WHEN, item, verdict

KEY_UNITS = 1_000
"""Write units a second that DynamoDB takes under one key."""
VERDICTS_A_SECOND = 1_500
"""Verdicts of one tenant, each an event for one webhook."""
EVENTS = 640
TENANT = "acme"


class Units:
    """A resource of DynamoDB that counts the units written to each partition."""

    def __init__(self, dynamodb: Any) -> None:
        self._client = dynamodb.meta.client
        self.meta = self
        self.client = self
        self.by_key: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._client, name)

        def counted(**request: Any) -> Any:
            entries = [entry["Put"] for entry in request.get("TransactItems", [])]
            for entry in entries:
                kilobytes = -(-len(json.dumps(entry["Item"], default=str)) // 1_024)
                self.by_key[entry["Item"]["tenant"]] += 2 * kilobytes
            if "Key" in request and name == "update_item":
                self.by_key[request["Key"]["tenant"] + request["Key"]["entry"]] += WEBHOOK_UNITS
            return call(**request)

        return counted if name in ("transact_write_items", "update_item") else call


WEBHOOK_UNITS = 2
"""Of an update of a webhook: its whole item counts, up to 2 KiB with three secrets."""


@pytest.fixture
def units(account: Any) -> Iterator[Units]:
    make_tables(account)
    return Units(account)


def test_a_tenants_events_are_stored_as_fast_as_its_verdicts_can_be(units: Any) -> None:
    recent = RecentEvents(units, "EventsTable")
    for number in range(EVENTS):
        one = verdict("unsafe").model_copy(update={"id": f"verdict-{number}"})
        (event,) = events_of(None, item(one))
        recent.keep(event)
    hottest = max(units.by_key.values()) / EVENTS
    assert KEY_UNITS / hottest >= VERDICTS_A_SECOND


def test_a_webhook_is_written_to_once_a_second_however_much_it_is_sent(
    units: Any, clock: Clock
) -> None:
    units.client.put_item(TableName="WebhooksTable", Item=key_of(TENANT, "here"))
    webhooks = Webhooks(units, "WebhooksTable", clock=clock)

    def told(failure: DeliveryFailure | None = None) -> None:
        (event,) = events_of(None, item(verdict("unsafe")))
        one = Delivery(event_id=event.id, type=event.type, at=WHEN, tries=1, failure=failure)
        webhooks.note(TENANT, "here", one)

    for _ in range(30):
        told()
        clock.now += 1 / 15
    assert sum(units.by_key.values()) <= 4 * WEBHOOK_UNITS
    before = sum(units.by_key.values())
    told(DeliveryFailure.TIMED_OUT)  # another outcome is noted at once, and each time-out counts
    told(DeliveryFailure.TIMED_OUT)
    assert sum(units.by_key.values()) == before + 2 * WEBHOOK_UNITS
