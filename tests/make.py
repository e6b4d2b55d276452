"""Values with sensible defaults, so that a test names only what it is about."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.models import Abstention, CastVote, Content, Decision, Tokens
from quorum.review.proposals import Made
from quorum.review.recalibration import Recalibration, Scale, scaled
from quorum.vote import panel
from quorum.vote.cache import VoteCache
from quorum.vote.evaluation import Evaluation
from quorum.vote.panel import packaged

NOW = 1_700_000_000.0
"""Epoch seconds at which these evaluations start."""


def at(seconds: float) -> datetime:
    """The datetime at a number of epoch seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def cast(voter: str = "gpt-4.1", decision: str = "unsafe", **changes: Any) -> CastVote:
    facts: dict[str, Any] = {
        "voter": voter,
        "model": voter,
        "decision": Decision(decision),
        "confidence": 0.9,
        "tokens": Tokens(input=400, output=60),
        "cost_usd": Decimal("0.00128"),
        "latency_ms": 120,
    }
    return CastVote.model_validate(facts | changes)


def abstention(voter: str = "gpt-4.1", reason: str = "timed_out", **changes: Any) -> Abstention:
    return Abstention.model_validate({"voter": voter, "reason": AbstentionReason(reason)} | changes)


def evaluation(text: str = "a text", panel_name: str = "default", **changes: Any) -> Evaluation:
    facts: dict[str, Any] = {
        "verdict_id": "verdict-1",
        "tenant": "acme",
        "content": Content(text=text),
        "panel": panel.packaged(panel_name),
        "started_at": NOW,
        "deadline": NOW + 22,
    }
    return Evaluation.model_validate(facts | changes)


def vote_keys(
    *, shared: bool = False, model_of: Callable[[str], registry.Model] = registry.model
) -> VoteCache:
    """A cache to make keys with, which needs no table."""
    return VoteCache(None, "", shared=shared, days=1, model_of=model_of)  # type: ignore[arg-type] # no table


def made_proposal() -> Made:
    """What a recalibration of the packaged panel `economy` on enough labels found."""
    before = packaged("economy")
    found = Recalibration(
        panel=scaled(before, Scale(-0.5, 0.9)),
        labels=200,
        effective=200,
        represents=200,
        intercept=-0.5,
        slope=0.9,
        changes={},
        by_language={},
        flips={},
        unheard=0,
    )
    return Made(found, before, "default")
