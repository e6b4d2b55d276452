"""The queue of deliveries: one message for each event and each place that it goes to."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from quorum.aws.faults import unavailable
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Frozen, is_none
from quorum.events.schema import Event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SEND_LIMIT = 10
"""Messages of one SendMessageBatch."""


class WebhookOf(Frozen):
    """A webhook by its tenant and its name."""

    tenant: str
    name: str


class QueuedDelivery(Frozen):
    """An event on its way to a webhook; without one, to the event bus."""

    event: Event
    webhook: WebhookOf | None = Field(default=None, exclude_if=is_none)


class DeliveryQueue:
    """The queue, for those who send."""

    def __init__(self, sqs: "SQSClient", queue: str) -> None:
        self._sqs = sqs
        self._queue = queue

    def send(self, deliveries: Sequence[QueuedDelivery]) -> None:
        """Put deliveries on the queue; raises `StoreUnavailable` if one could not be sent.

        Some may have been sent then: sent again, an event has the same id.
        """
        for start in range(0, len(deliveries), SEND_LIMIT):
            entries = [
                {"Id": str(number), "MessageBody": one.model_dump_json()}
                for number, one in enumerate(deliveries[start : start + SEND_LIMIT])
            ]
            with unavailable("the deliveries could not be queued"):
                answer = self._sqs.send_message_batch(
                    QueueUrl=self._queue,
                    Entries=entries,  # type: ignore[arg-type] # its type is a TypedDict
                )
            if answer.get("Failed"):
                raise StoreUnavailable("the queue does not take the deliveries")
