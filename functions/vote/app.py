"""Every gateway voter: one code base, deployed once per model."""

from functools import cache
from typing import TYPE_CHECKING, Any

from quorum.app.settings import VoteSettings
from quorum.app.voters import VoterContainer
from quorum.aws.boundary import guarded
from quorum.core import registry
from quorum.vote import voting
from quorum.vote.evaluation import VoteRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@cache
def app() -> VoterContainer:
    """The container, opened once per environment."""
    return VoterContainer(VoteSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """This model's vote on the content of the evaluation in `event`."""
    evaluation = VoteRequest.model_validate(event).evaluation
    model = registry.model(app().settings.voter)
    policy = app().policy_versions.of(evaluation.tenant, evaluation.policy)
    ask = voting.ask_gateway(
        evaluation, policy, model, lambda: app().gateway, context.get_remaining_time_in_millis()
    )
    return voting.vote(evaluation, policy, model.name, app().vote_store, ask).model_dump(
        mode="json"
    )
