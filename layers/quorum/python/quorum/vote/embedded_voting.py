"""The vote of an embedded voter on the content of an event, or its votes on several."""

from typing import TYPE_CHECKING, Any

from quorum.vote import voting
from quorum.vote.evaluation import VoteRequest, VotesRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from quorum.core.models import Abstention, CastVote, Content
    from quorum.vote.evaluation import Evaluation
    from quorum.vote.policy import Policy
    from quorum.vote.voter import PaidVote
    from quorum.vote.voting import VoteStore

READS_LISTS = "rules"
"""The voter that does not see what a policy's lists allow."""


def answer(
    event: dict[str, Any],
    voter: str,
    model: "Callable[[Content], CastVote | Abstention]",
    policy_of: "Callable[[Evaluation], Policy]",
    store: "VoteStore",
) -> Any:
    """The vote of `voter` as JSON; a list of votes, in order, for an event with `evaluations`."""

    def asking(evaluation: "Evaluation", policy: "Policy") -> "Callable[[], PaidVote]":
        content = evaluation.content
        if voter == READS_LISTS:
            content = policy.lists.without_allowed(content)
        return voting.ask_embedded(content, model)

    if "evaluations" in event:
        several = VotesRequest.model_validate(event, extra="ignore").evaluations
        votes = voting.vote_on_all(
            several, policy_of, store, lambda one, policy: asking(one, policy)()
        )
        return [one.model_dump(mode="json") for one in votes]
    evaluation = VoteRequest.model_validate(event, extra="ignore").evaluation
    policy = policy_of(evaluation)
    vote = voting.vote(evaluation, policy, voter, store, asking(evaluation, policy))
    return vote.model_dump(mode="json")
