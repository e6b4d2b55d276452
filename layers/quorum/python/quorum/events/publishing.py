"""What was stored → events → the queues of deliveries.

The stream of the Verdicts table is the outbox: it holds every change for a day, and a record is
read again until its events are stored and queued. So an event is never lost between the table and
the queues, and may come twice; its id is the same then, and it is stored once.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.faults import refused, unavailable
from quorum.aws.telemetry import logger
from quorum.core.errors import StoreUnavailable
from quorum.core.unicode import queue_text
from quorum.events import alerts, telemetry
from quorum.events.changes import events_of
from quorum.events.queue import SEND_LIMIT, QueuedDelivery, WebhookOf
from quorum.events.schema import Event, EventType, VerdictDecided

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mypy_boto3_sqs import SQSClient

    from quorum.events.queue import DeliveryQueue
    from quorum.events.recent import RecentEvents
    from quorum.events.webhooks import Subscribers, Webhook, Webhooks
    from quorum.gateway.deadline import Deadline

GROUP = SEND_LIMIT
"""Records that are published together: those before a group that fails are not told again."""
GROUP_SECONDS = 20.0
"""Seconds that must be left to begin another group: stores that are slow answer it by then."""


class RuleUnreadable(ValueError):
    """A tenant's rule was put by newer code: which of its verdicts are events is not known."""


class Publishing:
    """Turns changes and alerts into events, and sends each where it is wanted.

    Whatever one record makes fail is put aside, by its key, so that it holds nothing up. Only an
    error of AWS that may pass is not: then the record comes again.
    """

    def __init__(
        self,
        webhooks: "Webhooks",
        recent: "RecentEvents",
        queue: "DeliveryQueue",
        put_aside: "PutAside",
        clock: "Callable[[], float]" = time,
    ) -> None:
        self._webhooks = webhooks
        self._recent = recent
        self._queue = queue
        self._put_aside = put_aside
        self._clock = clock

    def changed(self, records: Sequence[dict[str, Any]], deadline: "Deadline") -> str | None:
        """Publish the events of a stream's records, in order.

        Returns the sequence number of the first record that has to come again with all after it:
        something failed there, or there was no time left to begin it. None if all are done. Raises
        `StoreUnavailable` if none is.
        """
        known: dict[str, Subscribers] = {}
        for start in range(0, len(records), GROUP):
            group = records[start : start + GROUP]
            if start > 0 and deadline.remaining() < GROUP_SECONDS:
                logger.warning("changes come again", extra={"why": "no time left"})
                return str(group[0]["dynamodb"]["SequenceNumber"])
            try:
                self._publish([(_key_of(one), _reading(one)) for one in group], known)
            except StoreUnavailable as error:
                if start == 0:
                    raise
                logger.warning("changes come again", extra={"why": str(error)})
                return str(group[0]["dynamodb"]["SequenceNumber"])
        return None

    def alerted(self, message: str, published_at: datetime) -> None:
        """Publish the event in a message of the topic of alerts; raises `StoreUnavailable`."""

        def read() -> "Iterable[Event]":
            event = alerts.event_of(message, published_at)
            return () if event is None else (event,)

        self._publish([("alert", read)], {})

    def _publish(
        self,
        sources: "Sequence[tuple[str, Callable[[], Iterable[Event]]]]",
        known: "dict[str, Subscribers]",
    ) -> None:
        """Store and queue what the sources tell, each with its key."""
        found = [(key, self._deliveries(key, read, known)) for key, read in sources]
        deliveries = [one for _, some in found for one in some]
        try:
            self._send(deliveries)
        except StoreUnavailable as error:
            if not refused(error):
                raise
            for key, some in found:  # which of them is refused?
                self._apart(key, partial(self._send, some))
        telemetry.events_published(deliveries)

    def _deliveries(
        self,
        key: str,
        read: "Callable[[], Iterable[Event]]",
        known: "dict[str, Subscribers]",
    ) -> list[QueuedDelivery]:
        """The deliveries of the events in one source, which are stored; none if it is put aside."""
        found: list[QueuedDelivery] = []

        def add() -> None:
            for event in read():
                if event.tenant is None:
                    found.extend(self._for_all(event))
                    continue
                if event.tenant not in known:
                    known[event.tenant] = self._webhooks.subscribers(event.tenant)
                found.extend(self._for_tenant(event, event.tenant, known[event.tenant]))

        return found if self._apart(key, add) else []

    def _apart(self, key: str, do: "Callable[[], None]") -> bool:
        """Do something for one source; returns whether it is done, False if it is put aside.

        Raises `StoreUnavailable` for an error that may pass.
        """
        try:
            do()
        except StoreUnavailable as error:
            if not refused(error):
                raise
            self._put_aside.note(key, error)
        except Exception as error:  # noqa: BLE001 no record may hold up those behind it, whatever it holds
            self._put_aside.note(key, error)
        else:
            return True
        return False

    def _send(self, deliveries: Sequence[QueuedDelivery]) -> None:
        self._queue.send(deliveries, datetime.fromtimestamp(self._clock(), UTC))

    def _for_tenant(
        self, event: Event, tenant: str, subscribers: "Subscribers"
    ) -> list[QueuedDelivery]:
        if subscribers.rule is None:
            if isinstance(event, VerdictDecided):
                raise RuleUnreadable
        elif not subscribers.rule.admits(event):
            return []
        self._recent.keep(event)
        to_webhooks = (
            _to_webhook(event, tenant, name, one) for name, one in subscribers.webhooks.items()
        )
        return [QueuedDelivery(event=event), *filter(None, to_webhooks)]

    def _for_all(self, event: Event) -> list[QueuedDelivery]:
        """The deliveries of an event about the deployment.

        What everybody together spends is the deployment's own affair; a voter that drifts is of
        interest to all tenants, who find its votes in their verdicts.
        """
        found = [QueuedDelivery(event=event)]
        if event.type is EventType.VOTER_DRIFTED:
            to_webhooks = (_to_webhook(event, *one) for one in self._webhooks.anywhere())
            found += filter(None, to_webhooks)
        return found


class PutAside:
    """The dead letters of what no event could be made of: its key and why, never its content."""

    def __init__(self, sqs: "SQSClient", dead_letters: str) -> None:
        self._sqs = sqs
        self._dead_letters = dead_letters

    def note(self, key: str, error: Exception) -> None:
        """Put something aside; raises `StoreUnavailable`."""
        why = type(error.__cause__ or error).__name__
        logger.error("no event could be published", extra={"key": key, "error": why})
        body = json.dumps({"put_aside": key, "why": why}, ensure_ascii=False)
        with unavailable("the dead letters of events do not take one"):
            self._sqs.send_message(QueueUrl=self._dead_letters, MessageBody=queue_text(body))


def _to_webhook(
    event: Event, tenant: str, name: str, webhook: "Webhook | None"
) -> QueuedDelivery | None:
    """The delivery to a webhook that wants the event.

    Whether one wants it that cannot be read is asked again when it is delivered.
    """
    if webhook is not None and not webhook.wants(event):
        return None
    to = WebhookOf(tenant=tenant, name=name)
    return QueuedDelivery(event=event, webhook=to, unchecked=webhook is None)


def _key_of(record: dict[str, Any]) -> str:
    """The key of the item that a record of the stream is about."""
    return str(record["dynamodb"].get("Keys", {}).get("id", {}).get("S"))


def _reading(record: dict[str, Any]) -> "Callable[[], Iterable[Event]]":
    def read() -> "Iterable[Event]":
        change = record["dynamodb"]
        before, after = (
            None if image is None else dynamo.plain(image)
            for image in (change.get("OldImage"), change.get("NewImage"))
        )
        return events_of(before, after)

    return read
