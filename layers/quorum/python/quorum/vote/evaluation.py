"""Evaluations: one run of a panel on a content, from the first vote to the verdict. Pure.

An evaluation travels through the state machine; every Lambda gets it whole.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, NamedTuple

from pydantic import Field

from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import VoteUnavailable
from quorum.core.models import (
    DISPOSITIONS,
    Abstention,
    CastVote,
    CategoryScore,
    Content,
    Decision,
    Disposition,
    Frozen,
    Identifier,
    ListHit,
    ListName,
    Outcome,
    ReusedReview,
    Verdict,
    Vote,
)
from quorum.core.position import BatchPosition
from quorum.vote import policy_reading
from quorum.vote.context import noted, unseen
from quorum.vote.panel import Panel, VoterName
from quorum.vote.policy import PACKAGED, Mode, Policy
from quorum.vote.tally import quorum_of, tally

VOTING_SECONDS = 22.0
"""Seconds from the start of an evaluation until its deadline; the machine ends after 25."""
ROUND_SECONDS = 1.0
"""Seconds before the deadline after which no other round begins."""
_WAYS: tuple[type[VoteUnavailable], ...] = (VoteUnavailable, *VoteUnavailable.__subclasses__())
TRANSIENT = frozenset(way.abstention for way in _WAYS if way.transient)
"""Reasons of abstentions after which the same vote may be had later."""
POSTPONED_SECONDS = 10.0
"""Seconds until an evaluation is tried again if its abstentions name no time."""


class Evaluation(Frozen):
    """One run of a panel on a content, until `deadline` (epoch seconds).

    `policy` is a reference (`quorum.vote.policies`): the state machine has no room for a policy.
    The verdict of a trial is not recorded; unless it `keeps_votes`, no vote on it is cached either.
    If it `may_postpone`, it is postponed rather than left to a person when voters were throttled or
    down.
    """

    verdict_id: str
    tenant: Identifier
    content: Content
    panel: Panel
    policy: str = PACKAGED
    started_at: float
    deadline: float
    position: BatchPosition | None = None
    may_postpone: bool = False
    is_trial: bool = False
    keeps_votes: bool = True


class VoteRequest(Frozen):
    """The event of a voter's Lambda; `voter` is who is asked where one function asks several."""

    evaluation: Evaluation
    voter: VoterName | None = None


class VotesRequest(Frozen):
    """The event of a voter's Lambda that votes on several contents of one tenant.

    `voter` is who is asked where one function asks several.
    """

    evaluations: tuple[Evaluation, ...] = Field(min_length=1)
    voter: VoterName | None = None


class AggregateRequest(Frozen):
    """The event of the aggregate Lambda, after each round."""

    evaluation: Evaluation
    votes: tuple[Vote, ...]
    voters: tuple[str, ...]
    round: int

    def complete(self) -> tuple[CastVote | Abstention, ...]:
        """The votes, with an abstention for every voter of the round that did not answer.

        So no voter is asked twice, even if its branch was lost.
        """
        heard = {vote.voter for vote in self.votes}
        return self.votes + tuple(
            Abstention(voter=voter, reason=AbstentionReason.FAILED, detail="no answer came back")
            for voter in self.voters
            if voter not in heard
        )


class Postponement(Frozen):
    """The reason why an evaluation is postponed, and the seconds until it is tried again."""

    seconds: float = Field(ge=0)
    reason: str


class RoundResult(Frozen):
    """The result of a round: a verdict, a postponement, or the voters of the next round.

    A postponed evaluation is `settled` too: no more voters are asked this time.
    """

    settled: bool
    voters: tuple[str, ...] = ()
    round: int
    verdict: Verdict | None = None
    postponed: Postponement | None = None


def conclude_round(
    evaluation: Evaluation,
    votes: Sequence[Vote],
    policy: Policy,
    *,
    round_number: int,
    now: float,
    answered_from: Literal["panel", "cache"] = "panel",
) -> RoundResult:
    """Tally `votes`, as they count under `policy`, after `round_number` rounds.

    `now` is in epoch seconds.
    """
    votes = policy_reading.read_through(policy, votes)
    outcome = tally(
        evaluation.panel,
        votes,
        evaluation.content.language,
        final=now > evaluation.deadline - ROUND_SECONDS,
    )
    if not outcome.settled:
        return RoundResult(settled=False, voters=outcome.next_voters, round=round_number + 1)
    postponed = _postponed(evaluation, votes) if evaluation.may_postpone else None
    if postponed is not None:
        return RoundResult(settled=True, round=round_number, postponed=postponed)
    verdict = _verdict(
        evaluation,
        policy,
        votes,
        outcome,
        rounds=round_number,
        now=now,
        answered_from=answered_from,
    )
    return RoundResult(settled=True, round=round_number, verdict=verdict)


def _postponed(evaluation: Evaluation, votes: Sequence[Vote]) -> Postponement | None:
    """The postponement, if the panel has no quorum now and may have one later."""
    abstained = {
        vote.voter: vote
        for vote in votes
        if isinstance(vote, Abstention) and vote.voter in evaluation.panel.voters
    }
    cast = {vote.voter for vote in votes if isinstance(vote, CastVote)} & set(
        evaluation.panel.voters
    )
    transient = [vote for vote in abstained.values() if _is_transient(vote)]
    lost = len(abstained) - len(transient)
    quorum = quorum_of(evaluation.panel, votes)
    if len(cast) >= quorum or len(evaluation.panel.voters) - lost < quorum:
        return None
    asked = [vote.retry_after_seconds for vote in transient if vote.retry_after_seconds is not None]
    why = ", ".join(f"{vote.voter} {vote.reason}" for vote in transient)
    return Postponement(
        seconds=max(asked, default=POSTPONED_SECONDS),
        reason=f"no quorum: {why or 'no time was left to ask'}",
    )


def _is_transient(vote: Abstention) -> bool:
    """Whether the vote may be had later: its reason passes, or it says when to ask again."""
    return vote.reason in TRANSIENT or vote.retry_after_seconds is not None


def conclude_by_review(
    evaluation: Evaluation,
    decision: Decision,
    reused: ReusedReview,
    policy: Policy,
    *,
    now: float,
) -> RoundResult:
    """The verdict on a content that a person has decided; no voter is asked."""
    day = f"{reused.reviewed_at:%Y-%m-%d}"
    outcome = Outcome(
        decision=decision,
        score=float(decision is Decision.UNSAFE),
        confidence=1.0,
        reason=f"a person decided this content on {day}: {decision}",
        settled=True,
    )
    verdict = _verdict(evaluation, policy, (), outcome, rounds=0, now=now, answered_from="review")
    return RoundResult(
        settled=True, round=0, verdict=verdict.model_copy(update={"reused_review": reused})
    )


def conclude_by_list(
    evaluation: Evaluation, hit: ListHit, policy: Policy, *, now: float
) -> RoundResult:
    """The verdict on a content that an entry of the policy's lists settles; no voter is asked."""
    blocked = hit.list is ListName.BLOCK
    outcome = Outcome(
        decision=Decision.UNSAFE if blocked else Decision.NEEDS_REVIEW,
        score=1.0 if blocked else 0.5,
        confidence=1.0,
        reason=f"the policy's {hit.list} list has {hit.entry!r}",
        settled=True,
    )
    verdict = _verdict(evaluation, policy, (), outcome, rounds=0, now=now, answered_from="list")
    return RoundResult(settled=True, round=0, verdict=verdict.model_copy(update={"list_hit": hit}))


def as_cast(vote: Vote) -> Vote:
    """The vote as its voter cast it."""
    if isinstance(vote, CastVote) and vote.decision_cast is not None:
        return vote.model_copy(update={"decision": vote.decision_cast, "decision_cast": None})
    return vote


def conclude_at_once(
    evaluation: Evaluation, votes: Sequence[Vote], policy: Policy, *, now: float
) -> Verdict:
    """The verdict from the votes there are; no further voter is asked."""
    read = policy_reading.read_through(policy, votes)
    outcome = tally(evaluation.panel, read, evaluation.content.language, final=True)
    return _verdict(evaluation, policy, read, outcome, rounds=0, now=now, answered_from="cache")


def conclude_without_votes(
    evaluation: Evaluation, detail: str, policy: Policy, *, now: float
) -> Verdict:
    """The verdict when the machine itself failed: every voter abstains, so a person decides."""
    votes = [
        Abstention(voter=voter, reason=AbstentionReason.FAILED, detail=detail)
        for voter in evaluation.panel.voters
    ]
    outcome = tally(evaluation.panel, votes, evaluation.content.language, final=True)
    return _verdict(evaluation, policy, votes, outcome, rounds=0, now=now, answered_from="panel")


def _verdict(
    evaluation: Evaluation,
    policy: Policy,
    votes: Sequence[Vote],
    outcome: Outcome,
    *,
    rounds: int,
    now: float,
    answered_from: Literal["panel", "cache", "review", "list"],
) -> Verdict:
    votes = noted(evaluation.content, votes)
    cast = [vote for vote in votes if isinstance(vote, CastVote)]
    concluded = _concluded(evaluation.panel, policy, votes, outcome)
    return Verdict(
        id=evaluation.verdict_id,
        content_id=evaluation.content.id,
        **concluded._asdict(),
        votes=tuple(sorted(votes, key=lambda vote: _place_on(evaluation.panel, vote.voter))),
        rounds=rounds,
        calls=sum(not vote.cached for vote in votes),
        cost_usd=sum((vote.cost_usd for vote in votes), Decimal(0)),
        saved_usd=sum((vote.saved_usd for vote in cast), Decimal(0)),
        latency_ms=max(0, round((now - evaluation.started_at) * 1000)),
        answered_from=answered_from,
        panel=evaluation.panel.name,
        panel_version=evaluation.panel.version,
        calibrated=policy_reading.is_calibrated(evaluation.panel, policy),
        policy=policy.name,
        policy_version=policy.version,
        language=evaluation.content.language,
        metadata=dict(evaluation.content.metadata),
        created_at=datetime.fromtimestamp(now, UTC),
    )


class Conclusion(NamedTuple):
    """The part of a verdict that follows from its votes, its panel and its policy alone."""

    decision: Decision
    action: Disposition
    score: float
    confidence: float
    reason: str
    categories: dict[str, float]
    category_scores: dict[str, CategoryScore]


def _concluded(panel: Panel, policy: Policy, votes: Sequence[Vote], outcome: Outcome) -> Conclusion:
    """What follows from an outcome under a policy."""
    category_scores = policy_reading.pooled(policy, panel, votes)
    because = policy_reading.grounds(policy, outcome.decision, category_scores)
    enforced = policy.mode is not Mode.DETECT_ONLY
    return Conclusion(
        decision=outcome.decision,
        action=DISPOSITIONS[outcome.decision] if enforced else Disposition.ALLOW,
        score=outcome.score,
        confidence=outcome.confidence,
        reason="; ".join(part for part in (outcome.reason, because, unseen(votes)) if part),
        categories=_highest_scores([vote for vote in votes if isinstance(vote, CastVote)]),
        category_scores=category_scores,
    )


def concluded_again(verdict: Verdict, panel: Panel, policy: Policy) -> tuple[Conclusion, ...]:
    """What follows from a verdict's votes, computed anew.

    It may have been concluded because its votes settled it, or at its deadline, which nobody wrote
    down: so there may be two conclusions. Both have the same decision, unless only one was
    possible.
    """
    votes = policy_reading.read_through(policy, [as_cast(vote) for vote in verdict.votes])
    outcomes = [tally(panel, votes, verdict.language, final=final) for final in (False, True)]
    return tuple(
        _concluded(panel, policy, votes, outcome) for outcome in outcomes if outcome.settled
    )


def _place_on(panel: Panel, voter: str) -> int:
    """The index of `voter` in the order of asking."""
    return panel.voters.index(voter) if voter in panel.voters else len(panel.voters)


def _highest_scores(votes: Sequence[CastVote]) -> dict[str, float]:
    """For each category the highest score any voter gave it."""
    highest: dict[str, float] = {}
    for vote in votes:
        for category, score in vote.scores.items():
            highest[category] = max(score, highest.get(category, 0.0))
    return highest
