"""What may be spent: alerts that are published once, and limits that pause what costs money.

Thresholds are dollars a batch, a tenant's day and everybody's day (UTC). Spending is what the
ledger booked: what is on its way comes on top, at most the calls of the workers running.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo, telemetry
from quorum.aws.faults import unavailable
from quorum.core import registry
from quorum.core.errors import BudgetSpent
from quorum.core.models import Dollars, Frozen
from quorum.ledger import ledger, listing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_sns import SNSClient

PUBLISHING_SECONDS = 60
"""An alert claimed this long ago and not published belongs to a Lambda that died."""


class Thresholds(Frozen):
    """Dollars; None is no threshold. Alerts tell, budgets stop."""

    alert_batch_usd: Dollars | None = None
    alert_tenant_usd: Dollars | None = None
    alert_day_usd: Dollars | None = None
    budget_tenant_usd: Dollars | None = None
    budget_day_usd: Dollars | None = None

    @property
    def of_days(self) -> bool:
        """Whether a day's spending matters at all."""
        return any(
            limit is not None
            for limit in (
                self.alert_tenant_usd,
                self.alert_day_usd,
                self.budget_tenant_usd,
                self.budget_day_usd,
            )
        )


class Budget:
    """The thresholds, the ledger they are compared with, and where alerts go."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        usage_table: str,
        thresholds: Thresholds,
        topic: "tuple[Callable[[], SNSClient], str]",
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, and threads share it
        self._table = usage_table
        self.thresholds = thresholds
        self._sns, self._topic = topic
        self._clock = clock

    def check(self, tenant: str) -> None:
        """Raises `BudgetSpent`, which says when it resets, if `tenant` may spend no more today."""
        limits = self.thresholds
        if not limits.of_days:
            return
        today = self.now().date()
        spent = self._spent(today, tenant)
        self.alert("tenant", limits.alert_tenant_usd, spent, today, tenant=tenant)
        _refuse_over(limits.budget_tenant_usd, spent, today)
        if limits.alert_day_usd is not None or limits.budget_day_usd is not None:
            by_all = self._spent_by_all(today)
            self.alert("day", limits.alert_day_usd, by_all, today)
            _refuse_over(limits.budget_day_usd, by_all, today)

    def resets_at(self) -> datetime:
        """When a day's budget is whole again: midnight UTC."""
        return _midnight_after(self.now().date())

    # ---- what was spent ----------------------------------------------------------------------

    def _spent(self, day: date, tenant: str) -> Decimal:
        keys = [{"key": ledger.usage_key(day, model.name, tenant)} for model in registry.MODELS]
        return _total(dynamo.read(self._client, self._table, keys, consistent=True))

    def _spent_by_all(self, day: date) -> Decimal:
        return _total(listing.entries(self._client, self._table, ledger.day_entry(day)))

    # ---- alerts ------------------------------------------------------------------------------

    def alert(
        self, what: str, limit: Decimal | None, spent: Decimal, day: date, **whose: str
    ) -> bool:
        """Publish, unless somebody did, that `spent` crossed `limit`; whether it is published.

        Claimed by a conditional write before it is published. A Lambda that dies in between is
        relieved after a while: an alert may then come twice, but not never.
        """
        if limit is None or spent < limit:
            return False
        period = whose.get("batch") or day.isoformat()
        key = {"key": f"alert#{what}#{whose.get('tenant', '-')}#{period}#{limit}"}
        now = int(self._clock())
        message = {"alert": what, "limit_usd": limit, "spent_usd": spent, "day": day, **whose}
        with unavailable("a budget alert could not be published"):
            if self._claim_alert(key, now):
                self._sns().publish(
                    TopicArn=self._topic,
                    Subject=f"Quorum: the {what} alert threshold is crossed",
                    Message=telemetry.plain_json(message),
                )
                dynamo.attempt(
                    self._client.update_item,
                    TableName=self._table,
                    Key=key,
                    UpdateExpression="SET published_at = :now",
                    ExpressionAttributeValues={":now": now},
                )
        return True

    def _claim_alert(self, key: dict[str, str], now: int) -> bool:
        """Whether the alert is ours to publish: nobody has, nor is about to."""
        try:
            dynamo.attempt(
                self._client.update_item,
                TableName=self._table,
                Key=key,
                UpdateExpression="SET claimed_at = :now",
                ConditionExpression=(
                    "attribute_not_exists(#key)"
                    " OR (attribute_not_exists(published_at) AND claimed_at < :abandoned)"
                ),
                ExpressionAttributeNames={"#key": "key"},
                ExpressionAttributeValues={":now": now, ":abandoned": now - PUBLISHING_SECONDS},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.fromtimestamp(self._clock(), UTC)


def _refuse_over(limit: Decimal | None, spent: Decimal, day: date) -> None:
    if limit is not None and spent >= limit:
        resets_at = _midnight_after(day).isoformat()
        raise BudgetSpent(
            f"the day's budget is spent; it resets at {resets_at}",
            code="budget_spent",
            limit=resets_at,
        )


def _midnight_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC)


def _total(items: Iterable[dict[str, Any]]) -> Decimal:
    return sum((Decimal(item.get("cost_usd", 0)) for item in items), Decimal(0))
