"""Starts: how often the work on a message began and never ended, because its worker crashed.

The count of a queue's deliveries does not say so: it counts pauses too. A worker therefore writes
down that it begins a message that was delivered before, and that it ended. Nothing is written of
the first delivery, which nearly every message ends at.
"""

from collections.abc import Callable, Iterable, Mapping
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.dynamo import DAY
from quorum.aws.faults import unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

_KEPT_SECONDS = 15 * DAY
"""Seconds that a count is kept: a day more than a queue keeps a message."""


class Starts:
    """The starts without an end, by a message's id, in the Verdicts table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, and threads share it
        self._table = table
        self._clock = clock

    def unended(self, messages: Iterable[str]) -> Mapping[str, int]:
        """The starts of each message that had no end; raises `StoreUnavailable`."""
        with unavailable("the starts of messages could not be read"):
            return {message: self._unended(message) for message in messages}

    def begin(self, messages: Iterable[str]) -> None:
        """Count one start more of each message; raises `StoreUnavailable`."""
        self._update(messages, "ADD starts :starts SET expires_at = :expires", 1)

    def end(self, messages: Iterable[str]) -> None:
        """Forget the starts of each message: its worker lived; raises `StoreUnavailable`."""
        self._update(messages, "SET starts = :starts, expires_at = :expires", 0)

    def _unended(self, message: str) -> int:
        found = dynamo.attempt(
            self._client.get_item,
            TableName=self._table,
            Key=_key(message),
            ConsistentRead=True,
        )
        return int(found.get("Item", {}).get("starts", 0))

    def _update(self, messages: Iterable[str], expression: str, starts: int) -> None:
        with unavailable("the starts of messages could not be written"):
            for message in messages:
                dynamo.attempt(
                    self._client.update_item,
                    TableName=self._table,
                    Key=_key(message),
                    UpdateExpression=expression,
                    ExpressionAttributeValues={
                        ":starts": starts,
                        ":expires": int(self._clock()) + _KEPT_SECONDS,
                    },
                )


def _key(message: str) -> dict[str, str]:
    return {"id": f"starts#{message}"}
