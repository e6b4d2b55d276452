"""A gateway check-up of a deployment, booked like any other call."""

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from quorum.aws import dynamo, loop
from quorum.core import registry
from quorum.health.doctor import Report, examine
from quorum.ledger import ledger, shards
from quorum.ledger.telemetry import cost_booked

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.core.registry import Model
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
    put: "Sequence[tuple[Model, Gateway | None]]" = (),
) -> Report:
    """Check every base URL for the models `needed`; the cost is booked to `tenant`.

    `put` are the models that were put as data, each with the client of its own server, None where
    the gateway serves it. Other models are reported only. Raises `StoreUnavailable` if the cost
    could not be booked.
    """
    models = [model for model in registry.MODELS if model.kind == "gateway"]
    models += [model for model, own in put if own is None]
    report = loop.run(examine(gateway, models, needed=needed, seconds=EXAMINING_SECONDS))
    servers: dict[int, tuple[Gateway, list[Model]]] = {}
    for model, own in put:
        if own is not None and model.name in needed:
            servers.setdefault(id(own), (own, []))[1].append(model)
    for own, served in servers.values():
        found = loop.run(examine(own, served, needed=needed, seconds=EXAMINING_SECONDS))
        report = Report(base_urls=report.base_urls + found.base_urls)
    client: Any = dynamodb.meta.client  # takes Python values, which its type denies
    day = ledger.today()
    for base in report.base_urls:
        if base.measured_with is not None:
            asked, shard = base.measured_with, shards.chosen()
            dynamo.write(
                client, ledger.paid(usage_table, tenant, asked, base, day=day, shard=shard)
            )
            cost_booked(base)
    return report
