"""The tally after a round: record what is settled, or name the next voters."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import StoreUnavailable
from quorum.core.models import Abstention, CastVote
from quorum.vote import panel
from quorum.vote.evaluation import AggregateRequest, Evaluation
from quorum.vote.policy import DEFAULT
from quorum.vote.voter import PaidVote
from quorum.vote.voting import VoteStore

from functions.aggregate import app as aggregate
from tests import make
from tests.functions.conftest import reopen

IN_ROUNDS = panel.load(
    {
        "name": "in-rounds",
        "rounds": [["gpt-4.1-nano"], ["gpt-4.1"]],
        "stop": "settled",
        "quorum": 1,
        "thresholds": {"unsafe": 0.5, "safe": 0.6},
        "rule": {"kind": "weighted", "weights": {"gpt-4.1-nano": 1, "gpt-4.1": 3}},
    }
)

Aggregate = Callable[..., dict[str, Any]]


@pytest.fixture
def tallied(
    aws: Any, within: Callable[[str], None], context: Any, monkeypatch: pytest.MonkeyPatch
) -> Aggregate:
    within("AggregateFunction")
    reopen(aggregate)
    monkeypatch.setattr(aggregate, "time", lambda: make.NOW + 2)

    def send(
        evaluation: Evaluation, *votes: CastVote | Abstention, voters: tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        request = AggregateRequest(
            evaluation=evaluation,
            votes=votes,
            voters=evaluation.panel.rounds[0] if voters is None else voters,
            round=1,
        )
        return aggregate.handler(request.model_dump(mode="json"), context)

    return send


def test_a_settled_case_ends_with_a_stored_verdict(tallied: Aggregate, aws: Any) -> None:
    result = tallied(
        make.evaluation(), *(make.cast(voter) for voter in make.evaluation().panel.voters)
    )
    assert result["settled"] is True
    assert result["verdict"]["decision"] == "unsafe"
    assert result["verdict"]["cost_usd"] == "0.00384"
    assert result["verdict"]["latency_ms"] == 2000
    assert aws.Table("VerdictsTable").get_item(Key={"id": "verdict#acme#verdict-1"})["Item"]


def test_an_unsettled_case_says_who_is_asked_next_and_stores_nothing(
    tallied: Aggregate, aws: Any
) -> None:
    result = tallied(make.evaluation(panel=IN_ROUNDS), make.cast("gpt-4.1-nano"))
    assert result["settled"] is False
    assert result["voters"] == ["gpt-4.1"]
    assert result["round"] == 2
    assert aws.Table("VerdictsTable").scan()["Count"] == 0


def test_past_the_deadline_the_case_is_concluded_with_what_there_is(tallied: Aggregate) -> None:
    late = make.evaluation(panel=IN_ROUNDS, deadline=make.NOW + 2)
    result = tallied(late, make.cast("gpt-4.1-nano"))
    assert result["settled"] is True
    assert result["verdict"]["rounds"] == 1


def test_a_seated_voter_of_whom_nothing_came_back_abstains_and_is_not_asked_again(
    tallied: Aggregate,
) -> None:
    result = tallied(make.evaluation(panel=IN_ROUNDS), voters=("gpt-4.1-nano", "gpt-4.1"))
    assert result["settled"] is True
    assert result["verdict"]["decision"] == "needs_review"
    assert {vote["reason"] for vote in result["verdict"]["votes"]} == {"failed"}


def test_a_case_aggregated_twice_is_recorded_and_counted_once(tallied: Aggregate, aws: Any) -> None:
    votes = [make.cast(voter, "safe") for voter in make.evaluation().panel.voters]
    first = tallied(make.evaluation(), *votes)
    again = tallied(
        make.evaluation(), *(make.cast(voter) for voter in make.evaluation().panel.voters)
    )
    assert again["verdict"] == first["verdict"]
    (counted,) = aws.Table("UsageTable").scan()["Items"]
    assert counted["safe"] == 1
    assert counted["unsafe"] == 0


def test_the_highest_score_any_voter_gave_a_category_is_the_verdicts(tallied: Aggregate) -> None:
    result = tallied(
        make.evaluation(),
        make.cast("gpt-4.1", scores={"hate": 0.4, "violence": 0.2}),
        make.cast("gemini-2.5-flash", scores={"hate": 0.9}),
        make.abstention("deepseek-v3.2"),
    )
    assert result["verdict"]["categories"] == {"hate": 0.9, "violence": 0.2}


def lost(voter: str) -> Abstention:
    """What the state machine puts in the place of an answer that did not come back."""
    return Abstention(voter=voter, reason=AbstentionReason.FAILED, detail="Lambda.Unknown")


def bought(evaluation: Evaluation, vote: CastVote) -> None:
    """Store `vote` as bought for `evaluation`."""
    store = VoteStore(aggregate.app().dynamodb, "VotesTable", "UsageTable")
    store.book(evaluation, DEFAULT, PaidVote(vote))


def test_a_vote_that_was_stored_and_whose_answer_was_lost_counts_at_its_price(
    tallied: Aggregate,
) -> None:
    evaluation = make.evaluation()
    first, *others = evaluation.panel.voters
    bought(evaluation, make.cast(first))
    result = tallied(evaluation, lost(first), *(make.cast(voter) for voter in others))
    assert {vote["kind"] for vote in result["verdict"]["votes"]} == {"vote"}
    assert result["verdict"]["cost_usd"] == "0.00384"


def test_a_vote_that_another_verdict_bought_counts_as_cached(tallied: Aggregate) -> None:
    evaluation = make.evaluation()
    first, *others = evaluation.panel.voters
    bought(make.evaluation(verdict_id="another"), make.cast(first))
    result = tallied(evaluation, lost(first), *(make.cast(voter) for voter in others))
    assert [vote["cached"] for vote in result["verdict"]["votes"]] == [True, False, False]
    assert result["verdict"]["cost_usd"] == "0.00256"


def test_an_abstention_that_cost_something_keeps_its_cost(tallied: Aggregate) -> None:
    evaluation = make.evaluation()
    first, *others = evaluation.panel.voters
    bought(make.evaluation(verdict_id="another"), make.cast(first))
    paid = lost(first).model_copy(update={"cost_usd": Decimal("0.5")})
    result = tallied(evaluation, paid, *(make.cast(voter) for voter in others))
    assert result["verdict"]["cost_usd"] == "0.50256"


def test_where_stored_votes_cannot_be_read_a_lost_answer_is_an_abstention(
    tallied: Aggregate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unavailable(*_: object) -> None:
        raise StoreUnavailable

    evaluation = make.evaluation()
    first, *others = evaluation.panel.voters
    bought(evaluation, make.cast(first))
    monkeypatch.setattr(aggregate.app().stored_votes, "find", unavailable)
    result = tallied(evaluation, lost(first), *(make.cast(voter) for voter in others))
    assert [vote["kind"] for vote in result["verdict"]["votes"]] == ["abstention", "vote", "vote"]


@pytest.mark.parametrize("came", [True, False])
def test_a_vote_counts_once_however_often_its_answer_was_lost(
    tallied: Aggregate, *, came: bool
) -> None:
    evaluation = make.evaluation()
    first, *others = (make.cast(voter) for voter in evaluation.panel.voters)
    bought(evaluation, first)
    answers = [first, *others] if came else others
    result = tallied(evaluation, lost(first.voter), *answers, lost(first.voter))
    assert result["verdict"]["decision"] == "unsafe"
    assert result["verdict"]["cost_usd"] == "0.00384"


def test_lost_votes_are_asked_for_once_for_two_seconds_and_as_they_are_stored_now(
    tallied: Aggregate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that is slow or throttled is why a voter failed, and must not cost the verdict."""
    call, asked = BaseClient._make_api_call, []  # type: ignore[attr-defined] # noqa: SLF001 all calls

    def throttled(client: Any, operation: str, request: dict[str, Any]) -> Any:
        if operation != "BatchGetItem" or "VotesTable" not in request["RequestItems"]:
            return call(client, operation, request)
        settings = client.meta.config
        tries = settings.retries["total_max_attempts"]
        seconds = tries * (settings.connect_timeout + settings.read_timeout)
        asked.append((seconds, request["RequestItems"]["VotesTable"]["ConsistentRead"]))
        raise ClientError({"Error": {"Code": "ThrottlingException"}}, operation)

    evaluation = make.evaluation()
    first, *others = evaluation.panel.voters
    monkeypatch.setattr(BaseClient, "_make_api_call", throttled)
    result = tallied(evaluation, lost(first), *(make.cast(voter) for voter in others))
    assert result["verdict"]["votes"][0]["kind"] == "abstention"
    assert asked == [(2, True)]


def test_a_text_whose_votes_are_not_kept_is_not_looked_up(
    tallied: Aggregate, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = make.evaluation().model_copy(update={"keeps_votes": False})
    asked: list[object] = []
    monkeypatch.setattr(aggregate.app().stored_votes, "find", lambda *one: asked.append(one))
    tallied(evaluation, *(lost(voter) for voter in evaluation.panel.voters))
    assert asked == []
