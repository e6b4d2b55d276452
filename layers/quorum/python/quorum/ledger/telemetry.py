"""The metric of spending, for the alarm on an hour's spending; exact sums are in the ledger."""

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from quorum.aws.telemetry import metrics_of

if TYPE_CHECKING:
    from quorum.ledger.ledger import Spending


def cost_booked(spent: "Spending") -> None:
    """Count the cost of a call that was booked, for whomever it was made."""
    if not spent.cost_usd:
        return
    metrics = metrics_of("spending")
    metrics.add_metric("SpentUsd", MetricUnit.NoUnit, float(spent.cost_usd))  # for plots
    metrics.flush_metrics()
