"""Logs and metrics of events and their deliveries. Never content, a URL or a secret."""

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from quorum.aws.telemetry import logger, metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from quorum.events.queue import QueuedDelivery, WebhookOf
    from quorum.events.schema import Event
    from quorum.events.sending import Sent


def events_published(deliveries: "Sequence[QueuedDelivery]") -> None:
    """Count events, and their deliveries to webhooks."""
    if not deliveries:
        return
    metrics = metrics_of("events")
    to_webhooks = sum(one.webhook is not None for one in deliveries)
    metrics.add_metric("Events", MetricUnit.Count, len(deliveries) - to_webhooks)
    metrics.add_metric("WebhookDeliveries", MetricUnit.Count, to_webhooks)
    metrics.flush_metrics()


def webhook_tried(
    webhook: "WebhookOf", event: "Event", sent: "Sent", *, tries: int, seconds: float
) -> None:
    """Log one try of a delivery: the receiver's status, or what failed, and how long it took."""
    logger.info(
        "webhook",
        extra={
            "tenant": webhook.tenant,
            "webhook": webhook.name,
            "event_id": event.id,
            "event_type": event.type,
            "status": sent.status,
            "failure": sent.failure,
            "tries": tries,
            "milliseconds": round(seconds * 1000),
        },
    )


def webhook_given_up(webhook: "WebhookOf", event: "Event") -> None:
    """Count a delivery that failed for a day, or whose receiver wants no more."""
    logger.warning(
        "webhook given up",
        extra={"tenant": webhook.tenant, "webhook": webhook.name, "event_id": event.id},
    )
    metrics = metrics_of("events")
    metrics.add_metric("WebhooksGivenUp", MetricUnit.Count, 1)
    metrics.flush_metrics()
