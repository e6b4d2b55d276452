"""A gateway check-up of a deployment, booked like any other call."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo, loop
from quorum.core import registry
from quorum.health.doctor import Report, examine
from quorum.ledger import ledger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.gateway.client import Gateway

EXAMINING_SECONDS = 8.0
"""Seconds for each base URL; three of them fit into one request of the API."""


def examined(
    gateway: "Gateway",
    dynamodb: "DynamoDBServiceResource",
    usage_table: str,
    tenant: str,
    *,
    needed: Collection[str],
) -> Report:
    """Check every base URL for the models `needed`; the cost is booked to `tenant`.

    Other models are reported only. Raises `StoreUnavailable` if the cost could not be booked.
    """
    models = [model for model in registry.MODELS if model.kind == "gateway"]
    report = loop.run(examine(gateway, models, needed=needed, seconds=EXAMINING_SECONDS))
    client: Any = dynamodb.meta.client  # takes Python values, which its type denies
    day = ledger.today()
    bookings = [
        ledger.paid(usage_table, tenant, base.measured_with, base, day=day)
        for base in report.base_urls
        if base.measured_with is not None
    ]
    for booking in bookings:
        dynamo.write(client, [booking])
    return report
