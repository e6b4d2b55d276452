"""Budgets: alerts that are published once, and limits above which nothing more is bought.

Thresholds are dollars for a batch, a tenant's day and the deployment's day (UTC). They are compared
with booked costs; calls that are under way come on top.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from time import time
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo, telemetry
from quorum.aws.faults import unavailable
from quorum.core.errors import BudgetSpent
from quorum.core.models import Dollars, Frozen
from quorum.ledger import ledger, listing

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource
    from mypy_boto3_sns import SNSClient

PUBLISHING_SECONDS = 60
"""Seconds after which an alert that was claimed but not published may be claimed again."""


class Thresholds(Frozen):
    """Dollars; None is no threshold. An alert is published, a budget stops spending."""

    alert_batch_usd: Dollars | None = None
    alert_tenant_usd: Dollars | None = None
    alert_day_usd: Dollars | None = None
    budget_tenant_usd: Dollars | None = None
    budget_day_usd: Dollars | None = None

    @property
    def of_days(self) -> bool:
        """Whether any threshold is about a day's spending."""
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
    """The thresholds, the ledger they are compared with, and the topic of the alerts."""

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
        """Raise `BudgetSpent`, with the time of the reset, if `tenant` may spend no more today."""
        limits = self.thresholds
        if not limits.of_days:
            return
        today = self.now().date()
        spent = self._spent(today, tenant)
        self.alert("tenant", limits.alert_tenant_usd, spent, today, tenant=tenant)
        _refuse_over(limits.budget_tenant_usd, spent, today)
        if limits.alert_day_usd is not None or limits.budget_day_usd is not None:
            by_all = self._spent(today)
            self.alert("day", limits.alert_day_usd, by_all, today)
            _refuse_over(limits.budget_day_usd, by_all, today)

    def resets_at(self) -> datetime:
        """The time when the day's budget resets: midnight UTC."""
        return _midnight_after(self.now().date())

    # ---- what was spent ----------------------------------------------------------------------

    def spent_today(self, tenant: str) -> Decimal:
        """Dollars that `tenant` has paid today; raises `StoreUnavailable`."""
        return self._spent(self.now().date(), tenant)

    def _spent(self, day: date, tenant: str = "") -> Decimal:
        """Dollars that `tenant`, or everybody, has paid on `day`."""
        key = ledger.spent_key(day, tenant)
        counted = listing.counter(self._client, self._table, key, consistent=True)
        return Decimal(counted.get("cost_usd", 0))

    # ---- alerts ------------------------------------------------------------------------------

    def alert(
        self, what: str, limit: Decimal | None, spent: Decimal, day: date, **whose: str
    ) -> bool:
        """Publish that `spent` crossed `limit`, once; returns whether it is published.

        The alert is claimed by a conditional write first. If a Lambda crashes in between, another
        one publishes it later: an alert may come twice, but it does come.
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
        """Claim the alert; returns whether this Lambda is to publish it."""
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
