"""The queues of deliveries: one message for each event and each place that it goes to.

The event bus has a queue of its own, so that no receiver of a webhook holds it up. The messages for
webhooks name their tenant's group: SQS serves first those whose groups occupy few workers (fair
queues), so that the slow receivers of one tenant do not take all of them.

A delivery that is put off is sent anew with a delay, and not hidden: SQS lets 120,000 messages of a
queue be hidden, and one receiver that is down for a day has more than that.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from pydantic import Field

from quorum.aws.faults import unavailable
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Frozen, is_none
from quorum.core.unicode import queue_text
from quorum.events.schema import Event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SEND_LIMIT = 10
"""Messages of one SendMessageBatch."""
SEND_TRIES = 3
"""Tries to put a message on a queue that SQS could not take for a reason of its own."""
LONGEST_DELAY_SECONDS = 900
"""Seconds: SQS's longest delay of a message that is sent."""


class WebhookOf(Frozen):
    """A webhook by its tenant and its name."""

    tenant: str
    name: str


class QueuedDelivery(Frozen):
    """An event on its way to a webhook; without one, to the event bus.

    It has been tried `tries` times, and is not tried again before `due_at`. It is `unchecked`
    whether the webhook wants it, if that could not be read.
    """

    event: Event
    webhook: WebhookOf | None = Field(default=None, exclude_if=is_none)
    tries: int = Field(default=0, ge=0, exclude_if=lambda tries: tries == 0)
    due_at: datetime | None = Field(default=None, exclude_if=is_none)
    unchecked: bool = Field(default=False, exclude_if=lambda unchecked: not unchecked)

    def seconds_left(self, now: datetime) -> int:
        """Whole seconds until it is due, 0 if it is."""
        return 0 if self.due_at is None else max(0, round((self.due_at - now).total_seconds()))


class DeliveryQueue:
    """The queues, for those who send: to `webhooks`, and to the `bus` if they do so at all."""

    def __init__(self, sqs: "SQSClient", webhooks: str, bus: str = "") -> None:
        self._sqs = sqs
        self._webhooks = webhooks
        self._bus = bus

    def send(self, deliveries: Sequence[QueuedDelivery], now: datetime) -> None:
        """Put deliveries on their queues, delayed until they are due or as long as SQS allows.

        Raises `StoreUnavailable` if one could not be sent. Some may have been sent then: sent
        again, an event has the same id.
        """
        to_bus = [one for one in deliveries if one.webhook is None]
        to_webhooks = [one for one in deliveries if one.webhook is not None]
        for queue, chosen in ((self._bus, to_bus), (self._webhooks, to_webhooks)):
            for start in range(0, len(chosen), SEND_LIMIT):
                entries = [_entry(one, now) for one in chosen[start : start + SEND_LIMIT]]
                self._send(queue, entries)

    def _send(self, queue: str, entries: Sequence[dict[str, Any]]) -> None:
        left = {str(number): one for number, one in enumerate(entries)}
        for _ in range(SEND_TRIES):
            with unavailable("the deliveries could not be queued"):
                answer = self._sqs.send_message_batch(
                    QueueUrl=queue,
                    Entries=[{"Id": number} | one for number, one in left.items()],  # type: ignore[misc] # its type is a TypedDict
                )
            left = {one["Id"]: left[one["Id"]] for one in answer.get("Failed", ())}
            if not left:
                return
        raise StoreUnavailable("the queue does not take the deliveries")


def _entry(delivery: QueuedDelivery, now: datetime) -> dict[str, Any]:
    """A message of SendMessageBatch."""
    entry: dict[str, Any] = {"MessageBody": queue_text(delivery.model_dump_json())}
    delay = min(LONGEST_DELAY_SECONDS, delivery.seconds_left(now))
    if delay:
        entry["DelaySeconds"] = delay
    if delivery.webhook is not None:
        entry["MessageGroupId"] = sha256(delivery.webhook.tenant.encode()).hexdigest()[:32]
    return entry
