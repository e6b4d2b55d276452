"""Dead letters of a webhook, sent again; and tests of a webhook."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING
from uuid import uuid4

from quorum.core.models import Frozen
from quorum.events.queue import QueuedDelivery, WebhookOf
from quorum.events.recent import Undelivered
from quorum.events.schema import EventType, SentTest, WebhookTest, event_id

if TYPE_CHECKING:
    from quorum.events.queue import DeliveryQueue
    from quorum.events.recent import RecentEvents

REDRIVE_LIMIT = 100
"""Dead letters that one request sends again."""


class SentAgain(Frozen):
    """The number of events that are sent again, and whether there are more: then ask again."""

    sent: int
    more: bool


class Testing(Frozen):
    """The event that is sent to test a webhook; `last_delivery` will say what became of it."""

    event_id: str


class UndeliveredList(Frozen):
    """The oldest events that a webhook did not take, kept for 14 days."""

    dead_letters: tuple[Undelivered, ...]


class Redrive:
    """Puts deliveries to one webhook on the queue."""

    def __init__(
        self,
        recent: "RecentEvents",
        queue: "DeliveryQueue",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._recent = recent
        self._queue = queue
        self._clock = clock

    def listed(self, tenant: str, webhook: str) -> UndeliveredList:
        """The oldest dead letters; raises `StoreUnavailable`."""
        found = self._recent.dead_letters(tenant, webhook, REDRIVE_LIMIT)
        return UndeliveredList(dead_letters=tuple(one.letter for one in found))

    def redrive(self, tenant: str, webhook: str) -> SentAgain:
        """Send the oldest dead letters again; raises `StoreUnavailable`.

        Each is deleted after it is queued: it may be sent twice, and is never lost.
        """
        found = list(self._recent.dead_letters(tenant, webhook, REDRIVE_LIMIT + 1))
        to = WebhookOf(tenant=tenant, name=webhook)
        chosen = found[:REDRIVE_LIMIT]
        self._queue.send(
            [QueuedDelivery(event=one.event, webhook=to) for one in chosen], self._now()
        )
        for one in chosen:
            self._recent.forget(one)
        return SentAgain(sent=len(chosen), more=len(found) > len(chosen))

    def test(self, tenant: str, webhook: str) -> Testing:
        """Send a test to the webhook; raises `StoreUnavailable`."""
        event = WebhookTest(
            id=event_id(EventType.WEBHOOK_TEST, tenant, webhook, uuid4().hex),
            timestamp=self._now(),
            tenant=tenant,
            data=SentTest(webhook=webhook),
        )
        to = WebhookOf(tenant=tenant, name=webhook)
        self._queue.send([QueuedDelivery(event=event, webhook=to)], event.timestamp)
        return Testing(event_id=event.id)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
