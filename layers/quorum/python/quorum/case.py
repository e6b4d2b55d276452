"""A case: one content before one panel, from the first vote to the verdict. Pure.

A case travels through the state machine; every Lambda gets it whole.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal

from quorum.models import (
    Abstention,
    AbstentionReason,
    CastVote,
    Category,
    Content,
    Frozen,
    Identifier,
    Outcome,
    Verdict,
    Vote,
)
from quorum.panel import Panel
from quorum.policy import POLICY_VERSION
from quorum.tally import tally

VOTING_SECONDS = 22.0
"""From the start of a case, the time in which votes must be in; under the machine's 25 s."""
ROUND_SECONDS = 1.0
"""Less time than this before the deadline is not worth another round."""


class Case(Frozen):
    """What is judged, for whom, by which panel, until when (`deadline` in epoch seconds)."""

    verdict_id: str
    tenant: Identifier
    content: Content
    panel: Panel
    started_at: float
    deadline: float


class VoteRequest(Frozen):
    """What a voter's Lambda is called with."""

    case: Case


class AggregateRequest(Frozen):
    """What the aggregate Lambda is called with, after each round."""

    case: Case
    votes: tuple[Vote, ...]
    seated: tuple[str, ...]
    round: int

    def complete(self) -> tuple[CastVote | Abstention, ...]:
        """The votes, with an abstention for everyone seated who was not heard of.

        So nobody is asked twice, whatever became of their branch.
        """
        heard = {vote.voter for vote in self.votes}
        return self.votes + tuple(
            Abstention(voter=voter, reason=AbstentionReason.FAILED, detail="nothing came back")
            for voter in self.seated
            if voter not in heard
        )


class Deliberation(Frozen):
    """Where a case stands after a round: settled with a verdict, or who is asked next."""

    settled: bool
    seated: tuple[str, ...] = ()
    round: int
    verdict: Verdict | None = None


def deliberate(
    case: Case,
    votes: Sequence[Vote],
    *,
    round_number: int,
    now: float,
    answered_from: Literal["panel", "cache"] = "panel",
) -> Deliberation:
    """Tally `votes` after `round_number` rounds, at `now` (epoch seconds)."""
    outcome = tally(
        case.panel,
        votes,
        case.content.language,
        final=now > case.deadline - ROUND_SECONDS,
    )
    if not outcome.settled:
        return Deliberation(settled=False, seated=outcome.next_voters, round=round_number + 1)
    verdict = _verdict(case, votes, outcome, round_number, now, answered_from)
    return Deliberation(settled=True, round=round_number, verdict=verdict)


def conclude_without_votes(case: Case, detail: str, *, now: float) -> Verdict:
    """The verdict when the machine itself failed: every voter abstains, so a person decides."""
    votes = [
        Abstention(voter=voter, reason=AbstentionReason.FAILED, detail=detail)
        for voter in case.panel.voters
    ]
    outcome = tally(case.panel, votes, case.content.language, final=True)
    return _verdict(case, votes, outcome, 0, now, "panel")


def _verdict(  # every fact of a verdict comes from its caller
    case: Case,
    votes: Sequence[Vote],
    outcome: Outcome,
    rounds: int,
    now: float,
    answered_from: Literal["panel", "cache"],
) -> Verdict:
    cast = [vote for vote in votes if isinstance(vote, CastVote)]
    return Verdict(
        id=case.verdict_id,
        content_id=case.content.id,
        decision=outcome.decision,
        score=outcome.score,
        confidence=outcome.confidence,
        reason=outcome.reason,
        categories=_highest_scores(cast),
        votes=tuple(votes),
        rounds=rounds,
        calls=sum(1 for vote in votes if not (isinstance(vote, CastVote) and vote.cached)),
        cost_usd=sum((vote.cost_usd for vote in votes), Decimal(0)),
        saved_usd=sum((vote.saved_usd for vote in cast), Decimal(0)),
        latency_ms=max(0, round((now - case.started_at) * 1000)),
        answered_from=answered_from,
        panel=case.panel.name,
        panel_version=case.panel.version,
        policy_version=POLICY_VERSION,
        language=case.content.language,
        metadata=dict(case.content.metadata),
        created_at=datetime.fromtimestamp(now, UTC),
    )


def _highest_scores(votes: Sequence[CastVote]) -> dict[Category, float]:
    """For each category the highest score any voter gave it."""
    highest: dict[Category, float] = {}
    for vote in votes:
        for category, score in vote.scores.items():
            highest[category] = max(score, highest.get(category, 0.0))
    return highest
