"""The queue of deliveries → the event bus, and webhooks.

A delivery that fails stays on the queue and comes back after a pause that grows over a day
(`quorum.events.pauses`). After that a webhook's event is a dead letter in the table of events; one
for the bus goes to the queue of dead letters, as does a message that crashes its worker.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from quorum.aws.faults import AWS_ERRORS, unavailable
from quorum.aws.telemetry import logger
from quorum.core.errors import StoreUnavailable
from quorum.events import telemetry
from quorum.events.pauses import PAUSES, pause_after
from quorum.events.queue import QueuedDelivery, WebhookOf
from quorum.events.recent import Undelivered
from quorum.events.schema import Event
from quorum.events.sending import DeliveryFailure, Sender, Sent
from quorum.events.signature import headers
from quorum.events.webhooks import Delivery

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from quorum.events.recent import RecentEvents
    from quorum.events.webhooks import Webhooks, WebhookSecrets

SOURCE = "quorum"
"""The source of our events on the bus."""


class _Message(NamedTuple):
    """A message as it was received, for the `tries`-th time."""

    id: str
    receipt: str
    tries: int
    delivery: QueuedDelivery


class Bus:
    """The event bus."""

    def __init__(self, events: "EventBridgeClient", name: str) -> None:
        self._events = events
        self._name = name

    def put(self, events: Sequence[Event]) -> set[int]:
        """Put up to ten events; returns the indexes of those that the bus did not take."""
        entries = [
            {
                "Time": event.timestamp,
                "Source": SOURCE,
                "DetailType": event.type.value,
                "Detail": event.model_dump_json(),
                "EventBusName": self._name,
            }
            for event in events
        ]
        try:
            answer = self._events.put_events(Entries=entries)  # type: ignore[arg-type] # its type is a TypedDict
        except AWS_ERRORS as error:
            logger.warning("the event bus does not answer", extra={"error": type(error).__name__})
            return set(range(len(events)))
        return {number for number, one in enumerate(answer["Entries"]) if "ErrorCode" in one}


class Deliveries:
    """Delivers the messages of one invocation."""

    def __init__(
        self,
        sqs: "SQSClient",
        queue: str,
        bus: Bus,
        webhooks: "Webhooks",
        secrets: "WebhookSecrets",
        *,
        recent: "RecentEvents",
        sender: Sender,
        clock: Callable[[], float] = time,
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._bus = bus
        self._webhooks = webhooks
        self._secrets = secrets
        self._recent = recent
        self._sender = sender
        self._clock = clock

    def handle(self, records: Iterable[dict[str, Any]]) -> list[str]:
        """Deliver each message; returns the ids of those that stay on the queue.

        A message that cannot be read stays until the queue dead-letters it.
        """
        again: list[str] = []
        messages: list[_Message] = []
        for record in records:
            try:
                messages.append(_read(record))
            except ValidationError:
                logger.error("a delivery could not be read", extra={"id": record["messageId"]})
                again.append(str(record["messageId"]))
        to_bus = [one for one in messages if one.delivery.webhook is None]
        again += [one.id for one in self._put(to_bus)]
        to_webhooks = [one for one in messages if one.delivery.webhook is not None]
        if to_webhooks:
            with ThreadPoolExecutor(len(to_webhooks)) as threads:
                done = threads.map(self._deliver, to_webhooks)
                again += [one.id for one, ok in zip(to_webhooks, done, strict=True) if not ok]
        return again

    # ---- the bus -----------------------------------------------------------------------------

    def _put(self, messages: Sequence[_Message]) -> list[_Message]:
        """Those that the bus did not take: the queue gives them up after its last delivery."""
        if not messages:
            return []
        failed = self._bus.put([one.delivery.event for one in messages])
        for number in failed:
            self._hide(messages[number], pause_after(messages[number].tries) or PAUSES[-1])
        return [messages[number] for number in sorted(failed)]

    # ---- webhooks ----------------------------------------------------------------------------

    def _deliver(self, message: _Message) -> bool:
        """Deliver to a webhook; returns whether the message is done with."""
        webhook = message.delivery.webhook
        if webhook is None:
            raise ValueError("the delivery is for the bus")
        try:
            sent = self._sent(webhook, message.delivery.event)
            if sent is None:
                return True
            telemetry.webhook_tried(webhook, message.delivery.event, sent, message.tries)
            self._note(webhook, message, sent)
            if sent.failure is None:
                return True
            pause = None if sent.failure is DeliveryFailure.GONE else pause_after(message.tries)
            if pause is not None:
                self._hide(message, pause)
                return False
            self._give_up(webhook, message.delivery.event, sent)
        except (StoreUnavailable, ValueError) as error:  # the latter for what cannot be read
            logger.warning("a delivery is put off", extra={"why": type(error).__name__})
            return False
        return True

    def _sent(self, webhook: WebhookOf, event: Event) -> Sent | None:
        """What became of one try; None where the webhook is gone or switched off."""
        found = self._webhooks.find(webhook.tenant, webhook.name)
        if found is None or not found.webhook.enabled:
            return None
        now = datetime.fromtimestamp(self._clock(), UTC)
        secrets = self._secrets.valid(webhook.tenant, webhook.name, found.webhook, now)
        body = event.model_dump_json().encode()
        signed = headers(secrets, event.id, int(now.timestamp()), body)
        return self._sender.send(found.webhook.url, body, signed)

    def _note(self, webhook: WebhookOf, message: _Message, sent: Sent) -> None:
        event = message.delivery.event
        delivery = Delivery(
            event_id=event.id,
            type=event.type,
            at=datetime.fromtimestamp(self._clock(), UTC),
            tries=message.tries,
            status=sent.status,
            failure=sent.failure,
        )
        try:
            self._webhooks.note(webhook.tenant, webhook.name, delivery)
        except StoreUnavailable:  # what was delivered is not sent again for want of a note
            logger.warning("the last delivery of a webhook could not be noted")

    def _give_up(self, webhook: WebhookOf, event: Event, sent: Sent) -> None:
        if sent.failure is None:
            return
        letter = Undelivered(
            event_id=event.id,
            type=event.type,
            failed_at=datetime.fromtimestamp(self._clock(), UTC),
            status=sent.status,
            failure=sent.failure,
        )
        self._recent.dead_letter(webhook.tenant, webhook.name, event, letter)
        telemetry.webhook_given_up(webhook, event)

    def _hide(self, message: _Message, seconds: int) -> None:
        with unavailable("a delivery could not be put off"):
            self._sqs.change_message_visibility(
                QueueUrl=self._queue, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
            )


def _read(record: dict[str, Any]) -> _Message:
    return _Message(
        id=str(record["messageId"]),
        receipt=str(record["receiptHandle"]),
        tries=int(record["attributes"]["ApproximateReceiveCount"]),
        delivery=QueuedDelivery.model_validate_json(record["body"], extra="ignore"),
    )
