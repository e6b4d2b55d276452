"""Structured log and metrics, with a correlation id. Never content, never a key.

What is logged is named field by field; nothing is logged by handing over a request or an event.
"""

import json
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from quorum.errors import QuorumError
from quorum.models import Abstention, CastVote, Review, Verdict
from quorum.vote.tally import agreements

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    if verdict.shadow is not None:
        disagrees = verdict.shadow.decision != verdict.decision
        metrics.add_metric("ShadowDisagreement", MetricUnit.Count, int(disagrees))
    metrics.flush_metrics()
    # A cached vote agreed or not when it was cast; a text sent often would else count often.
    fresh = [vote for vote in verdict.votes if not vote.cached]
    _voters_agreed("AgreementWithVerdict", agreements(verdict.decision, fresh))


def verdict_reviewed(verdict: Verdict, review: Review) -> None:
    """A person's decision on a verdict; neither who decided nor what was noted."""
    logger.info(
        "review",
        extra={
            "correlation_id": verdict.id,
            "decision": verdict.decision,
            "reviewed": review.decision,
            "panel": verdict.panel,
            "panel_version": verdict.panel_version,
        },
    )
    _voters_agreed("AgreementWithReviewers", agreements(review.decision, verdict.votes))


def _voters_agreed(metric: str, agreed: "Mapping[str, bool]") -> None:
    """1 for each voter that agreed and 0 for one that did not: a day's average is its agreement."""
    for voter, did in agreed.items():
        metrics = EphemeralMetrics(namespace=_NAMESPACE, service="agreement")
        metrics.add_dimension("voter", voter)
        metrics.add_metric(metric, MetricUnit.Count, int(did))
        metrics.flush_metrics()


def panel_refused(parameter: str, version: int, field: str, message: str) -> None:
    """A bad panel in a parameter; the last good one stays."""
    logger.error(
        "panel refused",
        extra={"parameter": parameter, "version": version, "field": field, "why": message},
    )
    _panels_counted("PanelsRefused")


def panel_unread(parameter: str, why: str) -> None:
    """A parameter that could not be read; what is known of it stays."""
    logger.error("panel not read", extra={"parameter": parameter, "why": why})
    _panels_counted("PanelsUnread")


def shadow_failed(verdict: Verdict, why: str) -> None:
    """A shadow that could not be tallied; the verdict stands."""
    logger.error("shadow failed", extra={"correlation_id": verdict.id, "why": why})
    _panels_counted("ShadowsFailed")


def _panels_counted(metric: str) -> None:
    metrics = EphemeralMetrics(namespace=_NAMESPACE, service="panels")
    metrics.add_metric(metric, MetricUnit.Count, 1)
    metrics.flush_metrics()


def chat_ended(request_id: str, model: str, last: "Mapping[str, Any]", *, seconds: float) -> None:
    """How one answer of a chat ended, what it took and what it cost; never what was said."""
    outcome = str(last["type"])
    usage = last.get("usage") or {}
    logger.info(
        "chat",
        extra={
            "correlation_id": request_id,
            "outcome": outcome,
            "code": last.get("code"),
            "reason": last.get("reason"),
            "model": model,
            "tokens": usage.get("total_tokens"),
            "cost_usd": last.get("cost_usd"),
            "first_token_ms": last.get("first_token_ms"),
            "seconds": round(seconds, 3),
        },
    )
    metrics = EphemeralMetrics(namespace=_NAMESPACE, service="chat")
    metrics.add_dimension("model", model)
    metrics.add_metric(f"Chats{outcome.capitalize()}", MetricUnit.Count, 1)
    if last.get("first_token_ms") is not None:
        metrics.add_metric("FirstToken", MetricUnit.Milliseconds, last["first_token_ms"])
    metrics.flush_metrics()


def chat_failed(request_id: str, failure: Exception) -> None:
    """Something that ended an answer. Our own errors say why; any other may quote content."""
    why = str(failure) if isinstance(failure, QuorumError) else None
    extra = {"correlation_id": request_id, "error": type(failure).__name__, "why": why}
    logger.error("chat failed", extra=extra)


def chat_unreachable(connection: str, error: str) -> None:
    """A client that is connected, or was, and cannot be sent to."""
    logger.error("client not reached", extra={"connection": connection, "error": error})


def plain_json(facts: dict[str, Any]) -> str:
    """`facts` as JSON, money and dates as exact strings."""
    return json.dumps(facts, default=str, ensure_ascii=False)
