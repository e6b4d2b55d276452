"""Alerts about the cost of a batch, beside those about the day's budget."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING

from quorum.batch.records import Batches
from quorum.core.errors import BudgetSpent
from quorum.ledger.budget import Budget, Thresholds

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_sns import SNSClient


class BatchBudget(Budget):
    """A budget that also publishes one alert for each batch that crosses its threshold."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        usage_table: str,
        batches: Batches,
        thresholds: Thresholds,
        topic: "tuple[Callable[[], SNSClient], str]",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        super().__init__(dynamodb, usage_table, thresholds, topic, clock=clock)
        self._batches = batches

    def watch(self, tenant: str, batches: Iterable[str]) -> None:
        """Publish the alerts that are due after `batches` of `tenant` made progress."""
        with suppress(BudgetSpent):  # the next request is refused
            self.check(tenant)
        for batch, record in self._batches.facts((tenant, batch) for batch in batches).items():
            own = record.alert_usd
            limit = self.thresholds.alert_batch_usd if own is None else own
            if limit is None or record.alerted_at is not None:
                continue
            paid = self._batches.paid(*batch)
            today = self.now().date()
            if self.alert("batch", Decimal(limit), paid, today, tenant=tenant, batch=batch[1]):
                self._batches.note(*batch, alerted_at=self.now().isoformat())
