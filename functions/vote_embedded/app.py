"""The embedded voters: small models that vote inside their Lambda, one handler each."""

from functools import cache
from typing import TYPE_CHECKING, Any

from embedded import characters as characters_model
from embedded import meaning as meaning_model
from embedded import rules as rules_model
from quorum.app.settings import StoreSettings
from quorum.app.votes import VoteStoreContainer
from quorum.aws.boundary import guarded
from quorum.aws.environment import variable
from quorum.vote import voting
from quorum.vote.evaluation import VoteRequest, VotesRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.core.models import Abstention, CastVote, Content
    from quorum.vote.evaluation import Evaluation
    from quorum.vote.policy import Policy
    from quorum.vote.voter import PaidVote


@cache
def app() -> VoteStoreContainer:
    """The container, opened once per environment."""
    return VoteStoreContainer(StoreSettings.from_environment())


@guarded
def rules(event: dict[str, Any], _context: "LambdaContext") -> Any:
    """Vote by word lists and patterns."""
    return answer(event, "rules", rules_model.vote)


@guarded
def characters(event: dict[str, Any], _context: "LambdaContext") -> Any:
    """Vote by character n-grams."""
    return answer(event, "characters", characters_model.vote)


@guarded
def meaning(event: dict[str, Any], _context: "LambdaContext") -> Any:
    """Vote by sentence embeddings."""
    return answer(event, "meaning", meaning_model.vote)


def answer(
    event: dict[str, Any], voter: str, vote: "Callable[[Content], CastVote | Abstention]"
) -> Any:
    """The vote of `voter` on the content of the evaluation in `event`, or those on several."""

    def asking(evaluation: "Evaluation", policy: "Policy") -> "Callable[[], PaidVote]":
        content = evaluation.content
        if voter == rules_model.VOTER:
            content = policy.lists.without_allowed(content)
        return voting.ask_embedded(content, vote)

    store = app().vote_store
    if "evaluations" in event:
        several = VotesRequest.model_validate(event, extra="ignore").evaluations
        votes = voting.vote_on_all(
            several, policy_of, store, lambda one, policy: asking(one, policy)()
        )
        return [one.model_dump(mode="json") for one in votes]
    evaluation = VoteRequest.model_validate(event, extra="ignore").evaluation
    policy = policy_of(evaluation)
    return voting.vote(evaluation, policy, voter, store, asking(evaluation, policy)).model_dump(
        mode="json"
    )


def policy_of(evaluation: "Evaluation") -> "Policy":
    """The policy under which a content is judged."""
    return app().policy_versions.of(evaluation.tenant, evaluation.policy)


def start(handler: str | None) -> None:
    """Read what the handler of this environment votes with; without one, nothing.

    INIT has a whole processor and is not in the function's time; the first text would wait for the
    encoder of `meaning` three seconds at this function's share of a processor.
    """
    if handler == f"app.{meaning_model.VOTER}":
        meaning_model.start()


start(variable("_HANDLER"))
