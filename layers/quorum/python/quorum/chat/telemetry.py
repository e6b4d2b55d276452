"""Logs and metrics of chats, without their content.

Each logged field is named one by one; nothing is logged by handing over a request or an event. A
client chooses its `request_id`, which may be a name or a word of its own: its digest is logged.
"""

from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from quorum.aws.telemetry import logger, metrics_of
from quorum.core.errors import QuorumError

if TYPE_CHECKING:
    from collections.abc import Mapping


_DIGEST_CHARACTERS = 16


def correlation_id(request_id: str) -> str:
    """The first characters of a request id's SHA-256, by which its lines in the log are found."""
    return sha256(request_id.encode()).hexdigest()[:_DIGEST_CHARACTERS]


def chat_ended(request_id: str, model: str, last: "Mapping[str, Any]", *, seconds: float) -> None:
    """Log the end of an answer with its time and cost, without its content."""
    outcome = str(last["type"])
    usage = last.get("usage") or {}
    logger.info(
        "chat",
        extra={
            "correlation_id": correlation_id(request_id),
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
    metrics = metrics_of("chat")
    metrics.add_dimension("model", model)
    metrics.add_metric(f"Chats{outcome.capitalize()}", MetricUnit.Count, 1)
    if last.get("first_token_ms") is not None:
        metrics.add_metric("FirstToken", MetricUnit.Milliseconds, last["first_token_ms"])
    metrics.flush_metrics()


def chat_failed(request_id: str, failure: Exception) -> None:
    """Log an error that ended an answer. Only our own errors' messages quote no content."""
    why = str(failure) if isinstance(failure, QuorumError) else None
    extra = {
        "correlation_id": correlation_id(request_id),
        "error": type(failure).__name__,
        "why": why,
    }
    logger.error("chat failed", extra=extra)


def chat_unreachable(connection: str, error: str) -> None:
    """Log a client that cannot be reached."""
    logger.error("client not reached", extra={"connection": connection, "error": error})
