"""Evaluations: settled by what stays so, postponed by what passes."""

from typing import Any

import pytest
from quorum.core.errors import (
    GatewayDenied,
    GatewayRejected,
    ModelRefused,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    PromptTooLong,
    ReplyUnreadable,
    VoteUnavailable,
)
from quorum.vote.evaluation import POSTPONED_SECONDS, conclude_round
from quorum.vote.policy import DEFAULT
from quorum.vote.voter import abstention_of

from tests import make

PASSING: list[tuple[VoteUnavailable, float]] = [
    *[(GatewayDenied("denied", status=status), 300.0) for status in (401, 402, 403, 404)],
    (ModelThrottled("429", retry_after_seconds=7), 7.0),
    (ModelUnavailable("503"), POSTPONED_SECONDS),
    (ModelTimedOut("late"), POSTPONED_SECONDS),
    (VoteUnavailable("strange"), POSTPONED_SECONDS),
]
STAYING: list[VoteUnavailable] = [
    GatewayRejected("400", status=400),
    ModelRefused("blocked"),
    PromptTooLong("too long"),
    ReplyUnreadable("no vote"),
]


def concluded(error: VoteUnavailable) -> Any:
    """The result of a round in which every voter failed alike."""
    evaluation = make.evaluation(may_postpone=True)
    votes = [abstention_of(voter, error, 1) for voter in evaluation.panel.voters]
    return conclude_round(evaluation, votes, DEFAULT, round_number=2, now=make.NOW + 22)


@pytest.mark.parametrize(("error", "seconds"), PASSING, ids=repr)
def test_what_may_pass_never_settles_an_evaluation_that_can_wait(
    error: VoteUnavailable, seconds: float
) -> None:
    result = concluded(error)
    assert result.verdict is None
    assert result.postponed.seconds == seconds


@pytest.mark.parametrize("error", STAYING, ids=repr)
def test_what_stays_so_is_left_to_a_person(error: VoteUnavailable) -> None:
    result = concluded(error)
    assert result.postponed is None
    assert result.verdict.decision == "needs_review"
