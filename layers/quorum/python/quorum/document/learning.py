"""The answer lengths that the ledger has learned: output tokens per input token."""

from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo
from quorum.core.errors import StoreUnavailable
from quorum.document.operations import SHARE_UNTIL_LEARNED
from quorum.ledger import ledger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

BELIEVED_SECONDS = 60.0
"""Seconds for which a learned share is cached."""


class Learned:
    """The operation counters of the Usage table."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        usage_table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values and is safe for threads
        self._table = usage_table
        self._clock = clock
        self._shares: dict[str, tuple[float, float]] = {}

    def output_tokens(self, tenant: str, operation: str, model: str, given: int) -> int:
        """Output tokens to expect for `given` tokens of input."""
        return round(given * self.share(tenant, operation, model))

    def share(self, tenant: str, operation: str, model: str) -> float:
        """Output tokens for each of input, as counted; a guess until there is a count."""
        key = ledger.operation_key(tenant, operation, model)
        share, read_at = self._shares.get(key, (SHARE_UNTIL_LEARNED, 0.0))
        if self._clock() - read_at < BELIEVED_SECONDS:
            return share
        try:
            found = dynamo.get(self._client, self._table, {"key": key}) or {}
        except StoreUnavailable:
            found = {}  # a missing statistic must not fail the request
        given, written = (int(found.get(f"{name}_tokens", 0)) for name in ("input", "output"))
        share = written / given if given else SHARE_UNTIL_LEARNED
        self._shares[key] = share, self._clock()
        return share
