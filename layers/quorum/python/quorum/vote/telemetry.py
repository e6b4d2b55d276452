"""Logs and metrics of votes, verdicts, reviews and panels. Never content.

Each logged field is named one by one; whole requests and events are never logged.
"""

from typing import TYPE_CHECKING

from aws_lambda_powertools.metrics import MetricUnit

from quorum.aws.telemetry import logger, metrics_of
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Review, Verdict
from quorum.vote.tally import agreements

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY_MODEL = "any-model"
"""The dimension under which the votes of all models that were put as data count together."""


def pack_answered(voter: str, *, asked: int, read: int) -> None:
    """Count the contents of a pack, and those without a certain vote: they are asked alone."""
    logger.info("pack", extra={"voter": voter, "asked": asked, "read": read})
    metrics = metrics_of("vote")
    metrics.add_metric("PackedContents", MetricUnit.Count, asked)
    metrics.add_metric("PackedUnread", MetricUnit.Count, asked - read)
    metrics.flush_metrics()


def vote_answered(verdict_id: str, vote: CastVote | Abstention) -> None:
    """Log one voter's vote or abstention, its cost and its latency, without its reason."""
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
    metrics = metrics_of("vote")
    metrics.add_dimension("voter", vote.voter)
    metrics.add_dimensions(service="vote")  # and all voters together
    metrics.add_metric("Votes", MetricUnit.Count, 1)
    metrics.add_metric("Abstentions", MetricUnit.Count, int(abstained))
    failed = isinstance(vote, Abstention) and not vote.repeatable
    metrics.add_metric("VotesFailed", MetricUnit.Count, int(failed))
    throttled = isinstance(vote, Abstention) and vote.reason is AbstentionReason.THROTTLED
    metrics.add_metric("VotesThrottled", MetricUnit.Count, int(throttled))
    metrics.add_metric("VoteLatency", MetricUnit.Milliseconds, vote.latency_ms)
    metrics.flush_metrics()


def verdict_reached(verdict: Verdict) -> None:
    """Log one verdict: its decision, cost and latency."""
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
    metrics = metrics_of("verdict")
    metrics.add_dimension("panel", verdict.panel)
    metrics.add_metric("Verdicts", MetricUnit.Count, 1)
    metrics.add_metric("NeedsReview", MetricUnit.Count, int(verdict.decision == "needs_review"))
    metrics.add_metric("CostUsd", MetricUnit.NoUnit, float(verdict.cost_usd))  # for plots
    metrics.add_metric("VerdictLatency", MetricUnit.Milliseconds, verdict.latency_ms)
    if verdict.shadow is not None:
        disagrees = verdict.shadow.decision != verdict.decision
        metrics.add_metric("ShadowDisagreement", MetricUnit.Count, int(disagrees))
    metrics.flush_metrics()
    # A cached vote was counted when it was cast; a text that is sent often would count often.
    fresh = [vote for vote in verdict.votes if not vote.cached]
    _voters_agreed("AgreementWithVerdict", agreements(verdict.decision, fresh))


def verdict_reviewed(verdict: Verdict, review: Review) -> None:
    """Log a person's decision on a verdict, without the name and the note."""
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
    """Count 1 for each voter that agreed, else 0: the average of a day is its agreement.

    Models that were put as data count together too: the template has one alarm for all of them.
    """
    packaged = {model.name for model in registry.voters()}
    for voter, did in agreed.items():
        for counted in (voter,) if voter in packaged else (voter, ANY_MODEL):
            metrics = metrics_of("agreement")
            metrics.add_dimension("voter", counted)
            metrics.add_metric(metric, MetricUnit.Count, int(did))
            metrics.flush_metrics()


def panel_refused(parameter: str, version: int, field: str, message: str) -> None:
    """Log and count a bad panel in a parameter; the last good one stays."""
    logger.error(
        "panel refused",
        extra={"parameter": parameter, "version": version, "field": field, "why": message},
    )
    _panels_counted("PanelsRefused")


def panel_unread(parameter: str, why: str) -> None:
    """Log a parameter that could not be read; its known panel stays."""
    logger.error("panel not read", extra={"parameter": parameter, "why": why})
    _panels_counted("PanelsUnread")


def shadow_failed(verdict: Verdict, why: str) -> None:
    """Log and count a shadow that could not be tallied; the verdict stands."""
    logger.error("shadow failed", extra={"correlation_id": verdict.id, "why": why})
    _panels_counted("ShadowsFailed")


def policy_shadow_failed(verdict_id: str, why: str) -> None:
    """Log and count a policy's shadow that could not judge; the verdict stands."""
    logger.error("policy shadow failed", extra={"correlation_id": verdict_id, "why": why})
    _panels_counted("ShadowsFailed")


def _panels_counted(metric: str) -> None:
    metrics = metrics_of("panels")
    metrics.add_metric(metric, MetricUnit.Count, 1)
    metrics.flush_metrics()
