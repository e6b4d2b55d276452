"""The structured log and its metrics. They never hold content or a key."""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

logger = Logger(service="quorum")
_NAMESPACE = "Quorum"


def metrics_of(service: str) -> EphemeralMetrics:
    """An empty set of metrics with the dimension `service`; the caller flushes it."""
    return EphemeralMetrics(namespace=_NAMESPACE, service=service)


def plain_json(facts: dict[str, Any]) -> str:
    """`facts` as JSON, with money and dates as exact strings."""
    return json.dumps(facts, default=str, ensure_ascii=False)
