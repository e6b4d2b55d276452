"""Evaluations: settled, or postponed while voters are throttled or down."""

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
from quorum.core.models import Abstention, CastVote, Verdict
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


def test_a_verdict_does_not_name_the_gateways_address_not_even_one_stored_before() -> None:
    address = "https://gateway.example/v1"
    votes: list[CastVote | Abstention] = [
        make.cast("gemini-2.5-flash", served_by=address),
        make.cast("deepseek-v3.2", served_by=address),
        make.abstention("gpt-4.1", served_by=address),
    ]
    result = conclude_round(make.evaluation(), votes, DEFAULT, round_number=1, now=make.NOW)
    assert result.verdict is not None
    assert len(result.verdict.votes) == 3
    assert address not in result.model_dump_json()
    stored = result.verdict.model_dump(mode="json")
    stored["votes"][0]["served_by"] = address
    assert address not in Verdict.model_validate(stored).model_dump_json()
