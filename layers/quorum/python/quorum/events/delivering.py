"""The queues of deliveries → the event bus, and webhooks.

A delivery that fails is sent to its queue anew, with a delay, after pauses that grow over a day
(`quorum.events.pauses`). After that a webhook's event is a dead letter in the table of events, and
one for the bus goes to the queue of dead letters. A message that cannot be handled at all, because
a store is away or it crashes its worker, stays on its queue, which gives it up at last.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic, time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from quorum.aws.faults import AWS_ERRORS, unavailable
from quorum.aws.telemetry import logger
from quorum.core.errors import Conflict, StoreUnavailable
from quorum.core.unicode import queue_text
from quorum.events import telemetry
from quorum.events.pauses import pause_after
from quorum.events.queue import QueuedDelivery, WebhookOf
from quorum.events.recent import Undelivered
from quorum.events.schema import Event, EventType
from quorum.events.sending import DeliveryFailure, Sender, Sent
from quorum.events.signature import headers
from quorum.events.webhooks import Delivery, StoredWebhook

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from quorum.events.queue import DeliveryQueue
    from quorum.events.recent import RecentEvents
    from quorum.events.webhooks import Webhooks, WebhookSecrets
    from quorum.gateway.deadline import Deadline

SOURCE = "quorum"
"""The source of our events on the bus."""
SENDING_ANEW_SECONDS = 5.0
"""Seconds that an invocation keeps for sending anew what was put off."""
_T = TypeVar("_T")


class _Message(NamedTuple):
    """A message as it was received, and the number of this try."""

    id: str
    tries: int
    delivery: QueuedDelivery


class _Outcome(NamedTuple):
    """What becomes of a message: it is sent `anew`, it `stays` on its queue, or it is done with."""

    message: _Message
    anew: QueuedDelivery | None = None
    stays: bool = False


class Bus:
    """The event bus, and the queue of the events that it did not take within a day."""

    def __init__(
        self, events: "EventBridgeClient", name: str, sqs: "SQSClient", dead_letters: str
    ) -> None:
        self._events = events
        self._name = name
        self._sqs = sqs
        self._dead_letters = dead_letters

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

    def dead_letter(self, event: Event) -> None:
        """Keep an event that the bus did not take, ready to be moved back to its queue.

        Raises `StoreUnavailable`.
        """
        body = queue_text(QueuedDelivery(event=event).model_dump_json())
        with unavailable("an event for the bus could not be dead-lettered"):
            self._sqs.send_message(QueueUrl=self._dead_letters, MessageBody=body)


class Deliveries:
    """Delivers the messages of one invocation."""

    def __init__(
        self,
        queue: "DeliveryQueue",
        bus: Bus,
        webhooks: "Webhooks",
        secrets: "WebhookSecrets",
        *,
        recent: "RecentEvents",
        sender: Sender,
        clock: Callable[[], float] = time,
    ) -> None:
        self._queue = queue
        self._bus = bus
        self._webhooks = webhooks
        self._secrets = secrets
        self._recent = recent
        self._sender = sender
        self._clock = clock

    def handle(self, records: Iterable[dict[str, Any]], deadline: "Deadline") -> list[str]:
        """Deliver each message before the deadline; returns the ids of those that stay.

        They come again when the queue shows them again, and are given up by it at last.
        """
        stays: list[str] = []
        due: list[_Message] = []
        anew: list[_Outcome] = []
        for record in records:
            try:
                message = _read(record)
            except (ValueError, KeyError, TypeError):
                logger.error("a delivery could not be read", extra={"id": record["messageId"]})
                stays.append(str(record["messageId"]))
                continue
            if message.delivery.seconds_left(self._now()):
                anew.append(_Outcome(message, message.delivery))
            else:
                due.append(message)
        outcomes = self._tried_in_time(due, deadline)
        anew += [one for one in outcomes if one.anew is not None]
        known = {one.message.id for one in outcomes}
        stays += [one.message.id for one in outcomes if one.stays]
        stays += [one.id for one in due if one.id not in known]
        return stays + self._sent_anew(anew, deadline)

    def _tried_in_time(
        self, messages: Sequence[_Message], deadline: "Deadline"
    ) -> "list[_Outcome]":
        """What became of the messages, all handled at once, as far as it is known in time."""
        to_bus = [one for one in messages if one.delivery.webhook is None]
        to_webhooks = [one for one in messages if one.delivery.webhook is not None]
        tasks = [partial(self._to_webhook, one) for one in to_webhooks]
        if to_bus:
            tasks.append(partial(self._to_bus, to_bus))
        return _results(tasks, deadline.remaining() - SENDING_ANEW_SECONDS)

    def _sent_anew(self, outcomes: "Sequence[_Outcome]", deadline: "Deadline") -> list[str]:
        """Send deliveries anew; returns the ids of the messages that stay because that failed."""
        deliveries = [one.anew for one in outcomes if one.anew is not None]

        def send() -> list[bool]:
            self._queue.send(deliveries, self._now())
            return [True]

        sent = _results([send] if deliveries else [], deadline.remaining())
        return [] if sent else [one.message.id for one in outcomes]

    def _later(self, message: _Message, seconds: int) -> "_Outcome":
        """The delivery to be sent anew, one more time tried."""
        due_at = self._now() + timedelta(seconds=seconds)
        changes = {"tries": message.tries, "due_at": due_at}
        return _Outcome(message, message.delivery.model_copy(update=changes))

    # ---- the bus -----------------------------------------------------------------------------

    def _to_bus(self, messages: Sequence[_Message]) -> list[_Outcome]:
        failed = self._bus.put([one.delivery.event for one in messages])
        return [
            self._not_taken(message) if number in failed else _Outcome(message)
            for number, message in enumerate(messages)
        ]

    def _not_taken(self, message: _Message) -> _Outcome:
        pause = pause_after(message.tries)
        if pause is not None:
            return self._later(message, pause)
        try:
            self._bus.dead_letter(message.delivery.event)
        except StoreUnavailable:
            return _Outcome(message, stays=True)
        return _Outcome(message)

    # ---- webhooks ----------------------------------------------------------------------------

    def _to_webhook(self, message: _Message) -> list[_Outcome]:
        webhook, event = message.delivery.webhook, message.delivery.event
        if webhook is None:
            raise ValueError("the delivery is for the bus")
        try:
            found = self._webhooks.find(webhook.tenant, webhook.name)
            if found is None or not _wanted(found, message.delivery):
                return [_Outcome(message)]
            sent = self._tried(webhook, found, message)
            if sent.failure is None:
                return [_Outcome(message)]
            pause = None if sent.failure is DeliveryFailure.GONE else pause_after(message.tries)
            if pause is not None:
                return [self._later(message, pause)]
            self._give_up(webhook, event, sent)
        except (StoreUnavailable, Conflict) as error:  # the latter for what newer code put
            logger.warning("a delivery stays on the queue", extra={"why": type(error).__name__})
            return [_Outcome(message, stays=True)]
        return [_Outcome(message)]

    def _tried(self, webhook: WebhookOf, found: StoredWebhook, message: _Message) -> Sent:
        """What became of one try; a paused webhook is not asked, which counts as a time-out."""
        event = message.delivery.event
        is_test = event.type is EventType.WEBHOOK_TEST
        if not is_test and not self._webhooks.may_ask(webhook.tenant, webhook.name, found):
            return Sent(failure=DeliveryFailure.TIMED_OUT)
        now = self._now()
        secrets = self._secrets.valid(webhook.tenant, webhook.name, found.webhook, now)
        body = event.model_dump_json().encode()
        signed = headers(secrets, event.id, int(now.timestamp()), body)
        began = monotonic()
        sent = self._sender.send(found.webhook.url, body, signed)
        seconds = monotonic() - began
        telemetry.webhook_tried(webhook, event, sent, tries=message.tries, seconds=seconds)
        self._note(webhook, message, sent)
        return sent

    def _note(self, webhook: WebhookOf, message: _Message, sent: Sent) -> None:
        event = message.delivery.event
        delivery = Delivery(
            event_id=event.id,
            type=event.type,
            at=self._now(),
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
            failed_at=self._now(),
            status=sent.status,
            failure=sent.failure,
        )
        self._recent.dead_letter(webhook.tenant, webhook.name, event, letter)
        telemetry.webhook_given_up(webhook, event)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _read(record: dict[str, Any]) -> _Message:
    """The message in a record; raises `ValueError`, `KeyError` or `TypeError`."""
    delivery = QueuedDelivery.model_validate_json(record["body"], extra="ignore")
    # Not by how often it was received: while a store is away, nobody is asked.
    return _Message(str(record["messageId"]), delivery.tries + 1, delivery)


def _wanted(found: StoredWebhook, delivery: QueuedDelivery) -> bool:
    """Whether the webhook gets the event, as far as that was not known when it was queued."""
    if delivery.unchecked:
        return found.webhook.wants(delivery.event)
    return found.webhook.enabled


def _results(tasks: "Sequence[Callable[[], list[_T]]]", seconds: float) -> list[_T]:
    """The results of tasks, all run at once, of those that end in time and without an error.

    A thread that is late ends by itself: what it delivers may be delivered twice.
    """
    if not tasks:
        return []
    threads = ThreadPoolExecutor(len(tasks))
    running = [threads.submit(task) for task in tasks]
    done, late = wait(running, timeout=max(0.0, seconds))
    threads.shutdown(wait=False, cancel_futures=True)
    failed = [error for one in done if (error := one.exception()) is not None]
    if late or failed:
        told = {"late": len(late), "errors": [type(error).__name__ for error in failed]}
        logger.error("not all deliveries ended in time and well", extra=told)
    return [result for one in done if one.exception() is None for result in one.result()]
