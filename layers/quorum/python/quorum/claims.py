"""Claims: of several workers with the same content, one asks the voters and the others wait."""

from collections.abc import Callable
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

CLAIM_SECONDS = 30.0
"""A worker that dies holds its claim no longer than this: a little over a whole vote."""


class Claims:
    """Claims in the Votes table, one per content."""

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

    def take(self, content: str, owner: str) -> bool:
        """Whether `owner` may ask; `content` is a digest. Holds for `CLAIM_SECONDS`."""
        now = self._clock()
        until = round((now + CLAIM_SECONDS) * 1000)
        try:
            self._client.put_item(
                TableName=self._table,
                Item={
                    "vote_key": f"claim#{content}",
                    "owner": owner,
                    "held_until_ms": until,
                    "expires_at": until // 1000 + 60,
                },
                ConditionExpression="attribute_not_exists(vote_key) OR held_until_ms < :now",
                ExpressionAttributeValues={":now": round(now * 1000)},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def release(self, content: str, owner: str) -> None:
        """End the claim, if it is still the owner's."""
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.delete_item(
                TableName=self._table,
                Key={"vote_key": f"claim#{content}"},
                ConditionExpression="#owner = :owner",
                ExpressionAttributeNames={"#owner": "owner"},
                ExpressionAttributeValues={":owner": owner},
            )
