"""The structured log and its metrics. They never hold content or a key.

The metrics of a stack are in a namespace of its own, so that two stacks of an account have alarms
of their own; the variable POWERTOOLS_METRICS_NAMESPACE names it.
"""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics

from quorum.aws.environment import variable

logger = Logger(service="quorum")
_NAMESPACE = "Quorum"
"""The namespace outside a deployment."""


def metrics_of(service: str) -> EphemeralMetrics:
    """An empty set of metrics with the dimension `service`; the caller flushes it."""
    return EphemeralMetrics(
        namespace=variable("POWERTOOLS_METRICS_NAMESPACE") or _NAMESPACE, service=service
    )


def plain_json(facts: dict[str, Any]) -> str:
    """`facts` as JSON, with money and dates as exact strings."""
    return json.dumps(facts, default=str, ensure_ascii=False)
