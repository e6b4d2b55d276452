"""Leases: of several workers with the same question one asks, and the others wait."""

from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.aws.faults import unavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

LEASE_SECONDS = 30.0
"""Seconds until a crashed worker's lease expires: a little more than a whole vote takes."""


class Leases:
    """The leases in one table, whose key attribute is called `key`; one per content."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        key: str = "vote_key",
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, and threads share it
        self._table = table
        self._key = key
        self._clock = clock

    def take(self, content: str, owner: str, seconds: float = LEASE_SECONDS) -> bool:
        """Take the lease on `content` (a digest) for `seconds`; returns whether `owner` holds it.

        Raises `StoreUnavailable`.
        """
        now = self._clock()
        until = round((now + seconds) * 1000)
        with unavailable("a lease could not be taken"):
            try:
                dynamo.attempt(
                    self._client.put_item,
                    TableName=self._table,
                    Item={
                        self._key: f"claim#{content}",
                        "owner": owner,
                        "held_until_ms": until,
                        "expires_at": until // 1000 + 60,
                    },
                    ConditionExpression="attribute_not_exists(#key) OR held_until_ms < :now",
                    ExpressionAttributeNames={"#key": self._key},
                    ExpressionAttributeValues={":now": round(now * 1000)},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def release(self, content: str, owner: str) -> None:
        """End the lease, if `owner` still holds it."""
        not_ours = self._client.exceptions.ConditionalCheckFailedException
        with unavailable("a lease could not be released"), suppress(not_ours):
            dynamo.attempt(
                self._client.delete_item,
                TableName=self._table,
                Key={self._key: f"claim#{content}"},
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": owner},
            )
