"""The queues of contents and of documents, and the handling of their messages.

A message is done when its item is settled. A malformed message (unless newer code sent it), and one
that failed on its last delivery, goes to the dead letters with the reason in the attribute
`reason`. Whatever one message holds, its neighbours of the same invocation are handled all the
same. An item whose voters were throttled or down stays on the queue and comes back after growing
pauses (`batch.pauses`); one that waits for a budget is sent anew, so that waiting costs none of its
deliveries.

A message that a worker began and never ended has crashed it, or was beside one that did. From then
on it is handled alone, and after `CRASHES` such starts it is dead-lettered without another try.
"""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from aws_lambda_powertools.utilities.parser.models import SqsRecordModel
from botocore.exceptions import ClientError
from pydantic import BaseModel, ValidationError

from quorum.aws import telemetry
from quorum.aws.faults import code_of, unavailable
from quorum.batch.pauses import FAULT_TRIES, pause_after
from quorum.batch.records import Batches, FailedItem
from quorum.batch.starts import Starts
from quorum.core.errors import (
    BudgetSpent,
    Postponed,
    QuorumError,
    StoreUnavailable,
    Undeliverable,
)
from quorum.core.models import Identifier
from quorum.core.position import BatchPosition
from quorum.core.rejection import rejection
from quorum.core.unicode import queue_text, whole_json

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

SEND_LIMIT = 10
"""Messages of one SendMessageBatch."""
SEND_BYTES = 256 * 1024
"""Bytes of one SendMessageBatch. SQS takes 1 MiB since August 2025, older regions' stand-ins less;
an item of 32,768 characters has at most 131,072 bytes of them."""
SEND_TRIES = 3
"""Tries to put a message on the queue that SQS could not take for a reason of its own."""
_REFUSED = frozenset({"InvalidMessageContents", "InvalidParameterValue", "MessageTooLong"})
"""SQS's codes for a message that it will never take."""
_UNSENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""The characters for which SQS refuses a message."""
CRASHES = 3
"""Starts without an end after which a message is given up. The first delivery is not counted."""
BESIDE_A_SUSPECT_SECONDS = 30
"""Seconds at most until messages come again that were delivered beside one to be handled alone."""
LONGEST_DELAY_SECONDS = 900
"""Seconds: SQS's longest delay of a message that is sent."""
NEWER_CODE_SECONDS = 60
"""Seconds until an item comes again that has a field of newer code."""
CRASHED = "its worker crashed each time"
"""The reason of dead letters that were given up."""
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


class Sendable(Queued, Protocol):
    """An item that can be written as a message: a pydantic model."""

    def model_dump_json(self, *arguments: Any, **options: Any) -> str:
        """The item as JSON."""


class Refused(NamedTuple):
    """An item that SQS will never take, with SQS's code."""

    item: Sendable
    code: str


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


def message_body(item: Sendable) -> str:
    """An item as JSON that SQS takes."""
    return queue_text(item.model_dump_json(exclude_defaults=True, exclude_none=True))


class ItemQueue:
    """The queue and its dead letters; `max_receives` is how often a message is tried."""

    def __init__(
        self,
        sqs: "SQSClient",
        queue: str,
        dead_letters: str,
        batches: Batches,
        *,
        starts: Starts,
        max_receives: int,
        clock: Callable[[], float] = time,
    ) -> None:
        self._starts = starts
        self._sqs = sqs
        self._queue = queue
        self._dead_letters = dead_letters
        self._batches = batches
        self._max_receives = max_receives
        self._clock = clock

    # ---- sent --------------------------------------------------------------------------------

    def send(self, items: Iterable[Sendable]) -> list[Refused]:
        """Put `items` on the queue; returns those that SQS will never take.

        Raises `StoreUnavailable` if any other could not be sent.
        """
        return [refused for group in _groups(items) for refused in self._send_group(group)]

    def _send_group(self, group: "Sequence[_Sent]") -> list[Refused]:
        refused: list[Refused] = []
        left = dict(enumerate(group))
        for _ in range(SEND_TRIES):
            with unavailable("the queue does not take the items"):
                try:
                    failed = self._failures(left)
                except ClientError as error:
                    code = _code(code_of(error))
                    if code not in _REFUSED:
                        raise
                    if len(left) > 1:  # SQS does not say which of them it means
                        alone = [self._send_group([one]) for one in left.values()]
                        return refused + [one for each in alone for one in each]
                    failed = dict.fromkeys(left, code)
            refused += [
                Refused(left[number].item, code)
                for number, code in failed.items()
                if code in _REFUSED
            ]
            left = {number: left[number] for number in failed if failed[number] not in _REFUSED}
            if not left:
                return refused
        raise StoreUnavailable("the queue does not take the items")

    def _failures(self, entries: "Mapping[int, _Sent]") -> dict[int, str]:
        """Send the entries; returns SQS's code for each that it did not take."""
        sent = self._sqs.send_message_batch(
            QueueUrl=self._queue,
            Entries=[
                {"Id": str(number), "MessageBody": one.body} for number, one in entries.items()
            ],
        )
        return {int(failure["Id"]): _code(failure["Code"]) for failure in sent.get("Failed", [])}

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
        stays: dict[str, str | None] = {}
        for record in records:
            message = _message(record)
            try:
                item: Any = record_model.model_validate(record).body
            except ValidationError as error:
                claimed = _claimed(message.body)
                why = _malformed(error, claimed)
                stays[message.id] = self._why_it_stays(message, claimed, why)
            else:
                delivered[message.id] = message, Delivered(item, message.id, message.origin)
        messages = {name: message for name, (message, _) in delivered.items()}
        tried, outlived, waiting = self._chosen(messages)
        again = [name for name in tried if messages[name].deliveries > 1]
        with suppress(StoreUnavailable):  # then a crash is counted less, and nothing else
            self._starts.begin(again)
        failures = dict(zip(tried, _each(do, [delivered[name][1] for name in tried]), strict=True))
        with suppress(StoreUnavailable):
            self._starts.end(again)
        lost = _each(lambda some: given_up(some, CRASHED), [delivered[one][1] for one in outlived])
        failures |= dict(zip(outlived, lost, strict=True))
        for name in waiting:
            stays[name] = self._comes_again(messages[name])
        for name, failure in failures.items():
            if failure is not None:
                message, one = delivered[name]
                stays[name] = self._why_it_stays(message, one.item, failure)
        return Outcomes({name: why for name, why in stays.items() if why is not None})

    def _chosen(self, messages: Mapping[str, _Message]) -> tuple[list[str], list[str], list[str]]:
        """The ids of the messages to be handled now, of those given up, and of those that wait.

        A suspect is handled alone, so that it can crash no other; its neighbours come again.
        """
        unended: Mapping[str, int] = {}
        with suppress(StoreUnavailable):  # an outage is no crash
            unended = self._starts.unended(
                name for name, message in messages.items() if message.deliveries > 1
            )
        # A running worker dead-letters a message on its last delivery itself.
        outlived = [
            name
            for name, message in messages.items()
            if unended.get(name, 0) >= CRASHES or message.deliveries > self._max_receives
        ]
        left = [name for name in messages if name not in outlived]
        suspects = [name for name in left if unended.get(name, 0)]
        tried = suspects[:1] or left
        return tried, outlived, [name for name in left if name not in tried]

    def _comes_again(self, message: _Message) -> str:
        """Let a message that was not begun come again soon; returns why it stays."""
        seconds = random.randint(0, BESIDE_A_SUSPECT_SECONDS)  # noqa: S311 - jitter, not a secret
        try:
            with unavailable("a message could not be postponed"):
                self._hide(message, seconds)
        except StoreUnavailable as error:  # it comes again after the queue's own time
            telemetry.logger.warning("a message waits longer", extra={"why": str(error)})
        return "BesideASuspect"

    def _hide(self, message: _Message, seconds: int) -> None:
        self._sqs.change_message_visibility(
            QueueUrl=self._queue, ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def _why_it_stays(
        self, message: _Message, item: "Queued | _Claimed", failure: Exception
    ) -> str | None:
        """Handle a failure; the reason why the message stays on the queue, None if it does not."""
        try:
            handled = self._handled(message, item, failure)
        except Exception as error:  # noqa: BLE001 - the other messages are handled all the same
            telemetry.logger.error("a message could not be handled", exc_info=error)
            return type(error).__name__
        return None if handled else type(failure).__name__

    def _handled(self, message: _Message, item: "Queued | _Claimed", failure: Exception) -> bool:
        """Handle a failure; returns whether the message is done although its item is unsettled."""
        if isinstance(failure, Undeliverable):
            self._dead_letter(message, failure.reason, item)
            return True
        if isinstance(failure, BudgetSpent):
            self._send_later(message, item, str(failure.limit))
            return True
        reason = failure.reason if isinstance(failure, Postponed) else type(failure).__name__
        telemetry.logger.warning("item not judged", extra={"why": reason})
        passes = isinstance(failure, QuorumError) and failure.transient
        tries = self._max_receives if passes else min(FAULT_TRIES, self._max_receives)
        if message.deliveries >= tries:
            self._dead_letter(message, reason, item)
            return True
        if item.tenant is not None and item.position is not None:
            with suppress(StoreUnavailable):
                self._batches.note(item.tenant, item.position.batch, last_problem=reason)
        named = failure.retry_after_seconds if isinstance(failure, QuorumError) else None
        wanted = pause_after(message.deliveries, named)
        # A little later than asked for, and not all at once.
        delay = wanted + random.uniform(0, 1 + wanted / 4)  # noqa: S311 - jitter, not a secret
        with unavailable("a message could not be postponed"):
            self._hide(message, max(1, round(delay)))
        return False

    def _send_later(self, message: _Message, item: "Queued | _Claimed", resets_at: str) -> None:
        """Send the message anew, delayed until the budget resets or as long as SQS allows."""
        seconds = datetime.fromisoformat(resets_at).timestamp() - self._clock()
        with unavailable("a message could not be sent"):
            self._sqs.send_message(
                QueueUrl=self._queue,
                MessageBody=message.body,
                DelaySeconds=min(LONGEST_DELAY_SECONDS, max(1, round(seconds))),
                MessageAttributes={"origin": {"DataType": "String", "StringValue": message.origin}},
            )
        if item.tenant is not None and item.position is not None:
            self._batches.note(item.tenant, item.position.batch, paused_until=resets_at)

    def _dead_letter(self, message: _Message, reason: str, item: "Queued | _Claimed") -> None:
        """Send the message to the dead letters with its reason, and count it in its batch."""
        reason = _UNSENDABLE.sub("\ufffd", reason[:REASON_LIMIT])
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


class _Claim(BaseModel):
    """What is read of a message that may be malformed in every other respect."""

    tenant: Identifier
    position: BatchPosition


def _malformed(error: ValidationError, claimed: _Claimed) -> QuorumError:
    """What becomes of a message that cannot be read.

    An item of a batch was sent by our own code. If all that is wrong with it is a field that this
    release does not know, newer code sent it, in a deploy, and may take it when it comes again.
    """
    reason = rejection(error, skip=1).message
    unknown = all(one["type"] == "extra_forbidden" for one in error.errors())
    if unknown and claimed.position is not None:
        return Postponed(reason, retry_after_seconds=NEWER_CODE_SECONDS)
    return Undeliverable(reason)


def _claimed(body: str) -> _Claimed:
    """The tenant and position of a message that may be malformed."""
    try:
        said = _Claim.model_validate_json(whole_json(body.encode(errors="replace")))
    except ValidationError:
        return _Claimed()
    return _Claimed(said.tenant, said.position)


def _each(
    do: Callable[[Sequence[Delivered[Any]]], Sequence[Exception | None]],
    delivered: Sequence[Delivered[Any]],
) -> Sequence[Exception | None]:
    """What `do` says of each item; where it fails for all of them, it is asked about each alone.

    An error of Quorum's own is an outage, which strikes all alike.
    """
    try:
        return do(delivered)
    except QuorumError as error:
        return [error] * len(delivered)
    except Exception as error:  # noqa: BLE001 - which item it is about is found out here
        if len(delivered) > 1:
            return [failure for one in delivered for failure in _each(do, [one])]
        telemetry.logger.error("an item could not be handled", exc_info=error)
        return [error] * len(delivered)


def _message(record: Mapping[str, Any]) -> _Message:
    attributes = record.get("messageAttributes") or {}
    return _Message(
        id=record["messageId"],
        receipt=record["receiptHandle"],
        body=record["body"],
        origin=attributes.get("origin", {}).get("stringValue") or record["messageId"],
        deliveries=int(record["attributes"]["ApproximateReceiveCount"]),
    )


def _code(code: str) -> str:
    """A code of SQS without the name that older ones begin with."""
    return code.rpartition(".")[2]


class _Sent(NamedTuple):
    """An item, and its message's body."""

    item: Sendable
    body: str


def _groups(items: Iterable[Sendable]) -> Iterable[list[_Sent]]:
    """The items with their bodies in groups, each small enough for one SendMessageBatch."""
    group: list[_Sent] = []
    size = 0
    for item in items:
        body = message_body(item)
        length = len(body.encode())
        if group and (len(group) == SEND_LIMIT or size + length > SEND_BYTES):
            yield group
            group, size = [], 0
        group.append(_Sent(item, body))
        size += length
    if group:
        yield group
