"""The embedded voters: small models that vote inside their Lambda, one handler each."""

from typing import TYPE_CHECKING, Any

from embedded import characters as characters_model
from embedded import meaning as meaning_model
from embedded import rules as rules_model
from quorum.app.opened import opened_once
from quorum.app.settings import StoreSettings
from quorum.app.votes import EmbeddedVoterContainer
from quorum.aws.boundary import guarded
from quorum.aws.environment import variable
from quorum.vote import embedded_voting

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.core.models import Abstention, CastVote, Content
    from quorum.vote.evaluation import Evaluation
    from quorum.vote.policy import Policy


@opened_once
def app() -> EmbeddedVoterContainer:
    """The container."""
    return EmbeddedVoterContainer(StoreSettings.from_environment())


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
    event: dict[str, Any], voter: str, model: "Callable[[Content], CastVote | Abstention]"
) -> Any:
    """The vote of `voter` on the content of the evaluation in `event`, or those on several."""
    return embedded_voting.answer(event, voter, model, policy_of, app().vote_store)


def policy_of(evaluation: "Evaluation") -> "Policy":
    """The policy under which a content is judged."""
    return app().policy_versions.of(evaluation.tenant, evaluation.policy)


def start(handler: str | None) -> None:
    """Load the encoder if it is `meaning` that votes here: INIT has a whole processor."""
    if handler == f"app.{meaning_model.VOTER}":
        meaning_model.start()


start(variable("_HANDLER"))
