"""What was put aside, told again: by a mark on the verdict, which the stream of changes carries.

Whoever puts something aside keeps its key alone. The mark makes a change of the item, and the
events of the verdict as it is now come of it, by the rule that holds now. Their ids are the same as
ever, so who has them already knows them.
"""

import json
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.models import Frozen
from quorum.events.changes import TOLD_AGAIN

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_sqs import SQSClient

AT_ONCE = 10
"""Messages of one receive."""
HIDDEN_SECONDS = 60
"""Seconds for which a message that is looked at is hidden from others."""


class ToldAgain(Frozen):
    """The numbers of verdicts `told` again, of those `gone` meanwhile, and of other dead letters.

    Others are `left` on the queue: they are moved back by SQS.
    """

    told: int
    gone: int
    left: int


class TellingAgain:
    """The queue of dead letters of events, and the table of verdicts."""

    def __init__(
        self, sqs: "SQSClient", dead_letters: str, dynamodb: "DynamoDBServiceResource", table: str
    ) -> None:
        self._sqs = sqs
        self._dead_letters = dead_letters
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table

    def all(self) -> ToldAgain:
        """Tell again what the queue holds; raises `StoreUnavailable`.

        A message is deleted after its verdict is marked: it may be told twice, and is never lost.
        """
        told = gone = left = 0
        seen: set[str] = set()
        while messages := self._received():
            new = [one for one in messages if one["MessageId"] not in seen]
            if not new:
                break
            seen.update(one["MessageId"] for one in new)
            for message in new:
                key = _key_in(str(message["Body"]))
                if key is None:
                    left += 1
                    continue
                if self._mark(key):
                    told += 1
                else:
                    gone += 1
                with unavailable("a dead letter could not be deleted"):
                    self._sqs.delete_message(
                        QueueUrl=self._dead_letters, ReceiptHandle=message["ReceiptHandle"]
                    )
        return ToldAgain(told=told, gone=gone, left=left)

    def _received(self) -> list[Any]:
        with unavailable("the dead letters could not be read"):
            answer = self._sqs.receive_message(
                QueueUrl=self._dead_letters,
                MaxNumberOfMessages=AT_ONCE,
                VisibilityTimeout=HIDDEN_SECONDS,
            )
        return list(answer.get("Messages", ()))

    def _mark(self, key: str) -> bool:
        """Mark the verdict of a key; returns whether it is still there."""
        update = {
            "TableName": self._table,
            "Key": {"id": key},
            "UpdateExpression": "ADD #told_again :one",
            "ConditionExpression": "attribute_exists(verdict)",
            "ExpressionAttributeNames": {"#told_again": TOLD_AGAIN},
            "ExpressionAttributeValues": {":one": 1},
        }
        return not dynamo.write(self._client, [{"Update": update}])


def _key_in(body: str) -> str | None:
    """The key of a verdict that a message has put aside; None for any other message."""
    try:
        key = json.loads(body)["put_aside"]
    except (ValueError, KeyError, TypeError):
        return None
    return key if isinstance(key, str) and key.startswith("verdict#") else None
