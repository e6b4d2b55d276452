"""What was stored → events → the queue of deliveries.

The stream of the Verdicts table is the outbox: it holds every change for a day, and a record is
read again until its events are stored and queued. So an event is never lost between the table and
the queue, and may come twice; its id is the same then.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.aws.telemetry import logger
from quorum.events import alerts, telemetry
from quorum.events.changes import events_of
from quorum.events.queue import QueuedDelivery, WebhookOf
from quorum.events.schema import Event, EventType

if TYPE_CHECKING:
    from datetime import datetime

    from mypy_boto3_sqs import SQSClient

    from quorum.events.queue import DeliveryQueue
    from quorum.events.recent import RecentEvents
    from quorum.events.webhooks import Subscribers, Webhooks


class Publishing:
    """Turns changes and alerts into events, and sends each where it is wanted.

    What cannot be read is put into `dead_letters`, by its key, so that it holds nothing up.
    """

    def __init__(
        self,
        webhooks: "Webhooks",
        recent: "RecentEvents",
        queue: "DeliveryQueue",
        unreadable: "Unreadable",
    ) -> None:
        self._webhooks = webhooks
        self._recent = recent
        self._queue = queue
        self._unreadable = unreadable

    def changed(self, records: Iterable[dict[str, Any]]) -> None:
        """Publish the events of a stream's records; raises `StoreUnavailable`: all come again."""
        found: list[Event] = []
        for record in records:
            change = record["dynamodb"]
            before, after = (
                None if image is None else dynamo.plain(image)
                for image in (change.get("OldImage"), change.get("NewImage"))
            )
            try:
                found += events_of(before, after)
            except (ValueError, KeyError, TypeError) as error:
                self._unreadable.note(str((after or {}).get("id")), error)
        self.publish(found)

    def alerted(self, message: str, published_at: "datetime") -> None:
        """Publish the event in a message of the topic of alerts; raises `StoreUnavailable`."""
        try:
            event = alerts.event_of(message, published_at)
        except (ValueError, KeyError, TypeError) as error:
            self._unreadable.note("alert", error)
            return
        if event is not None:
            self.publish([event])

    def publish(self, events: Sequence[Event]) -> None:
        """Store the events that the tenants' rules admit, and queue them for whoever wants them."""
        known: dict[str, Subscribers] = {}
        deliveries: list[QueuedDelivery] = []
        for event in events:
            if event.tenant is None:
                deliveries += self._for_all(event)
                continue
            if event.tenant not in known:
                known[event.tenant] = self._webhooks.subscribers(event.tenant)
            deliveries += self._for_tenant(event, event.tenant, known[event.tenant])
        self._queue.send(deliveries)
        telemetry.events_published(deliveries)

    def _for_tenant(
        self, event: Event, tenant: str, subscribers: "Subscribers"
    ) -> list[QueuedDelivery]:
        if not subscribers.rule.admits(event):
            return []
        self._recent.keep(event)
        wanted = [name for name, one in subscribers.webhooks.items() if one.wants(event)]
        return [
            QueuedDelivery(event=event),
            *(
                QueuedDelivery(event=event, webhook=WebhookOf(tenant=tenant, name=name))
                for name in wanted
            ),
        ]

    def _for_all(self, event: Event) -> list[QueuedDelivery]:
        """The deliveries of an event about the deployment.

        What everybody together spends is the deployment's own affair; a voter that drifts is of
        interest to all tenants, who find its votes in their verdicts.
        """
        found = [QueuedDelivery(event=event)]
        if event.type is EventType.VOTER_DRIFTED:
            found += [
                QueuedDelivery(event=event, webhook=WebhookOf(tenant=tenant, name=name))
                for tenant, name, webhook in self._webhooks.anywhere()
                if webhook.wants(event)
            ]
        return found


class Unreadable:
    """The dead letters of what could not be read: its key, never its content."""

    def __init__(self, sqs: "SQSClient", dead_letters: str) -> None:
        self._sqs = sqs
        self._dead_letters = dead_letters

    def note(self, key: str, error: Exception) -> None:
        """Put the key of something unreadable into the dead letters; raises `StoreUnavailable`."""
        logger.error("no event could be read", extra={"key": key, "error": type(error).__name__})
        with unavailable("the dead letters of events do not take one"):
            self._sqs.send_message(QueueUrl=self._dead_letters, MessageBody=key)
