"""The queues of contents and of documents, and the handling of their messages.

A message is done when its item is settled. A malformed message, and one that failed on its last
delivery, goes to the dead letters with the reason in the attribute `reason`. An item whose voters
were throttled or down stays on the queue until they may be asked again; one that waits for a budget
is sent anew, so that waiting costs none of its deliveries. A message delivered more than
`max_receives` times is dead-lettered without another try: its workers crashed.
"""

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from pydantic import ValidationError

from quorum.aws import telemetry
from quorum.aws.faults import unavailable
from quorum.batch.records import Batches, FailedItem
from quorum.core.errors import BudgetSpent, Postponed, StoreUnavailable, Undeliverable
from quorum.core.models import Frozen
from quorum.core.position import BatchPosition
from quorum.core.rejection import rejection

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SEND_LIMIT = 10
"""Messages of one SendMessageBatch."""
SEND_BYTES = 256 * 1024
"""Bytes of one SendMessageBatch. SQS takes 1 MiB since August 2025, older regions' stand-ins less;
an item of 32,768 characters has at most 131,072 bytes of them."""
LONGEST_DELAY_SECONDS = 900
"""Seconds: SQS's longest delay, and the longest that an item waits for its voters."""
RETRY_SECONDS = 30
"""Seconds until a message is delivered again that failed for a reason of Quorum's own."""
REASON_LIMIT = 256


class _Message(NamedTuple):
    """A message as delivered; `origin` is the id under which it first came."""

    id: str
    receipt: str
    body: str
    origin: str
    deliveries: int


class Queued(Protocol):
    """The body of a message: an item with its tenant and its position in a batch."""

    @property
    def tenant(self) -> str:
        """The tenant the item belongs to."""

    @property
    def position(self) -> BatchPosition | None:
        """The item's position in its batch, if it has one."""

    @property
    def id(self) -> str | None:
        """The caller's own id for it."""


_ItemT = TypeVar("_ItemT", bound=Queued)


class Delivered(NamedTuple, Generic[_ItemT]):
    """A message's item. `message_id` is this message's id, `origin` that of its first sending."""

    item: _ItemT
    message_id: str
    origin: str


class Again(Exception):
    """Signals that a message stays on the queue."""


class Outcomes:
    """The outcome of each message of one invocation, for the batch processor to report."""

    def __init__(self, again: Mapping[str, str]) -> None:
        self._again = again

    def of(self, record: Any) -> None:
        """Raise `Again` for a message that stays on the queue."""
        why = self._again.get(record.message_id)
        if why is not None:
            raise Again(why)


def message_body(item: Frozen) -> str:
    """An item as JSON. Escaped are the two characters for which SQS refuses a whole request."""
    body = item.model_dump_json(exclude_defaults=True, exclude_none=True)
    return body.replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


class ItemQueue:
    """The queue and its dead letters; `max_receives` is how often a message is tried."""

    def __init__(
        self,
        sqs: "SQSClient",
        queue: str,
        dead_letters: str,
        batches: Batches,
        *,
        max_receives: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._sqs = sqs
        self._queue = queue
        self._dead_letters = dead_letters
        self._batches = batches
        self._max_receives = max_receives
        self._clock = clock

    # ---- sent --------------------------------------------------------------------------------

    def send(self, items: Iterable[Frozen]) -> None:
        """Put `items` on the queue. Raises `StoreUnavailable` if any could not be."""
        for group in _groups(map(message_body, items)):
            entries: Any = [
                {"Id": str(number), "MessageBody": body} for number, body in enumerate(group)
            ]
            for _ in range(3):
                with unavailable("the queue does not take the items"):
                    sent = self._sqs.send_message_batch(QueueUrl=self._queue, Entries=entries)
                left = {failure["Id"] for failure in sent.get("Failed", [])}
                entries = [entry for entry in entries if entry["Id"] in left]
                if not entries:
                    break
            else:
                raise StoreUnavailable("the queue does not take the items")

    # ---- delivered ---------------------------------------------------------------------------

    def deliver(
        self,
        records: Sequence[Mapping[str, Any]],
        record_model: type[SqsRecordModel],
        do: Callable[[Sequence[Delivered[Any]]], Sequence[Exception | None]],
        given_up: Callable[[Sequence[Delivered[Any]], str], Sequence[Exception | None]],
    ) -> Outcomes:
        """Handle the messages of one invocation; an unsettled one stays or is dead-lettered.

        `record_model` parses a record's body into an item. `do` returns for each item the failure
        that kept it from being settled, or None; `given_up` does so for items whose workers
        crashed, and gets that reason.
        """
        delivered: dict[str, tuple[_Message, Delivered[Any]]] = {}
        again: dict[str, str] = {}
        for record in records:
            message = _message(record)
            try:
                item: Any = record_model.model_validate(record).body
            except ValidationError as error:
                self._dead_letter(message, rejection(error, skip=1).message, _claimed(message.body))
            else:
                delivered[message.id] = message, Delivered(item, message.id, message.origin)
        # A running worker dead-letters a message on its last delivery itself.
        outlived = [
            message.id
            for message, _ in delivered.values()
            if message.deliveries > self._max_receives
        ]
        tried = [name for name in delivered if name not in outlived]
        failures = dict(zip(tried, do([delivered[name][1] for name in tried]), strict=True))
        lost = given_up(
            [delivered[name][1] for name in outlived],
            f"its worker crashed on delivery {self._max_receives}",
        )
        failures |= dict(zip(outlived, lost, strict=True))
        for name, (message, one) in delivered.items():
            failure = failures[name]
            if failure is not None and not self._handled(message, one.item, failure):
                again[name] = type(failure).__name__
        return Outcomes(again)

    def _handled(self, message: _Message, item: Queued, failure: Exception) -> bool:
        """Handle a failure; returns whether the message is done although its item is unsettled."""
        if isinstance(failure, Undeliverable):
            self._dead_letter(message, failure.reason, item)
            return True
        if isinstance(failure, BudgetSpent):
            self._send_later(message, item, str(failure.limit))
            return True
        reason = failure.reason if isinstance(failure, Postponed) else type(failure).__name__
        telemetry.logger.warning("item not judged", extra={"why": reason})
        if message.deliveries >= self._max_receives:
            self._dead_letter(message, reason, item)
            return True
        if item.position is not None:
            with suppress(StoreUnavailable):
                self._batches.note(item.tenant, item.position.batch, last_problem=reason)
        wanted = failure.retry_after_seconds if isinstance(failure, Postponed) else RETRY_SECONDS
        # A little later than asked for, and not all at once.
        delay = wanted + random.uniform(0, 1 + wanted / 4)  # noqa: S311 - jitter, not a secret
        with unavailable("a message could not be postponed"):
            self._sqs.change_message_visibility(
                QueueUrl=self._queue,
                ReceiptHandle=message.receipt,
                VisibilityTimeout=min(LONGEST_DELAY_SECONDS, max(1, round(delay))),
            )
        return False

    def _send_later(self, message: _Message, item: Queued, resets_at: str) -> None:
        """Send the message anew, delayed until the budget resets or as long as SQS allows."""
        seconds = datetime.fromisoformat(resets_at).timestamp() - self._clock()
        with unavailable("a message could not be sent"):
            self._sqs.send_message(
                QueueUrl=self._queue,
                MessageBody=message.body,
                DelaySeconds=min(LONGEST_DELAY_SECONDS, max(1, round(seconds))),
                MessageAttributes={"origin": {"DataType": "String", "StringValue": message.origin}},
            )
        if item.position is not None:
            self._batches.note(item.tenant, item.position.batch, paused_until=resets_at)

    def _dead_letter(self, message: _Message, reason: str, item: "Queued | _Claimed") -> None:
        """Send the message to the dead letters with its reason, and count it in its batch."""
        reason = reason[:REASON_LIMIT]
        if item.tenant is not None and item.position is not None:
            self._batches.mark_failed(
                item.tenant,
                "dead",
                [
                    FailedItem(
                        item.position,
                        {
                            "reason": reason,
                            "at": datetime.fromtimestamp(self._clock(), UTC).isoformat(),
                        }
                        | ({} if item.id is None else {"id": item.id}),
                    )
                ],
            )
        with unavailable("a message could not be dead-lettered"):
            self._sqs.send_message(
                QueueUrl=self._dead_letters,
                MessageBody=message.body,
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": value}
                    for name, value in (("reason", reason), ("origin", message.origin))
                },
            )

    def give_up(self, item: Queued, body: str, origin: str, reason: str) -> None:
        """Send an item that has no message on the queue to the dead letters."""
        self._dead_letter(_Message("", "", body, origin, 0), reason, item)

    # ---- dead letters ------------------------------------------------------------------------

    def redrive(self, tenant: str, batch: str, *, seconds: float) -> tuple[int, bool]:
        """Retry the batch's dead letters, looking for them for at most `seconds`.

        Returns their number, and whether all dead letters were looked at.
        """
        with unavailable("the dead letters could not be redriven"):
            return self._redrive(tenant, batch, seconds)

    def _redrive(self, tenant: str, batch: str, seconds: float) -> tuple[int, bool]:
        until = self._clock() + seconds
        sent = 0
        others: list[str] = []
        try:
            while self._clock() < until:
                letters = self._sqs.receive_message(
                    QueueUrl=self._dead_letters,
                    MaxNumberOfMessages=10,
                    VisibilityTimeout=round(seconds) + 10,
                    WaitTimeSeconds=1,
                    MessageAttributeNames=["origin"],
                ).get("Messages", [])
                if not letters:
                    return sent, True
                for letter in letters:
                    claimed = _claimed(letter["Body"])
                    if (claimed.tenant, claimed.position and claimed.position.batch) != (
                        tenant,
                        batch,
                    ):
                        others.append(letter["ReceiptHandle"])
                        continue
                    self._send_round(letter, tenant, claimed.position)
                    sent += 1
            return sent, False
        finally:
            for receipt in others:
                self._sqs.change_message_visibility(
                    QueueUrl=self._dead_letters, ReceiptHandle=receipt, VisibilityTimeout=0
                )

    def _send_round(self, letter: Any, tenant: str, position: BatchPosition | None) -> None:
        # In this order a crash loses nothing: an item that is sent twice is judged once.
        if position is not None:
            self._batches.revive(tenant, position)
        origin = letter.get("MessageAttributes", {}).get("origin", {}).get("StringValue")
        self._sqs.send_message(
            QueueUrl=self._queue,
            MessageBody=letter["Body"],
            MessageAttributes={
                "origin": {"DataType": "String", "StringValue": origin or letter["MessageId"]}
            },
        )
        self._sqs.delete_message(QueueUrl=self._dead_letters, ReceiptHandle=letter["ReceiptHandle"])


class _Claimed(NamedTuple):
    """The tenant and position that a message names, as far as it can be read."""

    tenant: str | None = None
    position: BatchPosition | None = None
    id: str | None = None


def _claimed(body: str) -> _Claimed:
    """The tenant and position of a message that may be malformed."""
    try:
        said = json.loads(body)
        return _Claimed(str(said["tenant"]), BatchPosition.model_validate(said["position"]))
    except (ValueError, KeyError, TypeError):
        return _Claimed()


def _message(record: Mapping[str, Any]) -> _Message:
    attributes = record.get("messageAttributes") or {}
    return _Message(
        id=record["messageId"],
        receipt=record["receiptHandle"],
        body=record["body"],
        origin=attributes.get("origin", {}).get("stringValue") or record["messageId"],
        deliveries=int(record["attributes"]["ApproximateReceiveCount"]),
    )


def _groups(bodies: Iterable[str]) -> Iterable[list[str]]:
    """The bodies in groups, each small enough for one SendMessageBatch."""
    group: list[str] = []
    size = 0
    for body in bodies:
        length = len(body.encode())
        if group and (len(group) == SEND_LIMIT or size + length > SEND_BYTES):
            yield group
            group, size = [], 0
        group.append(body)
        size += length
    if group:
        yield group
