"""Structured log and metrics, with a correlation id. Never content, never a key.

What is logged is named field by field; nothing is logged by handing over a request or an event.
"""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from quorum.models import Abstention, CastVote, Verdict

logger = Logger(service="quorum")
_NAMESPACE = "Quorum"


def vote_answered(verdict_id: str, vote: CastVote | Abstention) -> None:
    """One voter's answer: what it was and what it took; never why or about what."""
    abstained = isinstance(vote, Abstention)
    logger.info(
        "vote",
        extra={
            "correlation_id": verdict_id,
            "voter": vote.voter,
            "outcome": vote.reason if isinstance(vote, Abstention) else vote.decision,
            "abstained": abstained,
            "latency_ms": vote.latency_ms,
            "cost_usd": str(vote.cost_usd),
            "served_by": vote.served_by,
        },
    )
    metrics = EphemeralMetrics(namespace=_NAMESPACE, service="vote")
    metrics.add_dimension("voter", vote.voter)
    metrics.add_metric("Votes", MetricUnit.Count, 1)
    metrics.add_metric("Abstentions", MetricUnit.Count, int(abstained))
    metrics.add_metric("VoteLatency", MetricUnit.Milliseconds, vote.latency_ms)
    metrics.flush_metrics()


def verdict_reached(verdict: Verdict) -> None:
    """One verdict: its decision and what it took."""
    logger.info(
        "verdict",
        extra={
            "correlation_id": verdict.id,
            "decision": verdict.decision,
            "panel": verdict.panel,
            "panel_version": verdict.panel_version,
            "rounds": verdict.rounds,
            "calls": verdict.calls,
            "cost_usd": str(verdict.cost_usd),
            "latency_ms": verdict.latency_ms,
            "answered_from": verdict.answered_from,
        },
    )
    metrics = EphemeralMetrics(namespace=_NAMESPACE, service="verdict")
    metrics.add_dimension("panel", verdict.panel)
    metrics.add_metric("Verdicts", MetricUnit.Count, 1)
    metrics.add_metric("NeedsReview", MetricUnit.Count, int(verdict.decision == "needs_review"))
    metrics.add_metric("VerdictLatency", MetricUnit.Milliseconds, verdict.latency_ms)
    metrics.flush_metrics()


def plain_json(facts: dict[str, Any]) -> str:
    """`facts` as JSON, money and dates as exact strings."""
    return json.dumps(facts, default=str, ensure_ascii=False)
