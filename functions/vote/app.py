"""Every gateway voter: one code base, deployed once per model."""

from functools import cache
from typing import TYPE_CHECKING, Any

from quorum.app import container
from quorum.app.settings import VoteSettings
from quorum.core import registry
from quorum.vote import voting
from quorum.vote.evaluation import VoteRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.gateway.client import Gateway


@cache
def settings() -> VoteSettings:
    """This function's settings, read once per environment."""
    return VoteSettings.from_environment()


@cache
def vote_store() -> voting.VoteStore:
    """The voters' side of the container, opened once per environment."""
    return container.vote_store(settings())


@cache
def gateway() -> "Gateway":
    """The gateway client, opened once per environment: its connections stay open between votes."""
    return container.gateway(settings())


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """This model's vote on the case in `event`."""
    evaluation = VoteRequest.model_validate(event).evaluation
    model = registry.model(settings().voter)
    ask = voting.ask_gateway(evaluation, model, gateway(), context.get_remaining_time_in_millis())
    return voting.vote(evaluation, model.name, vote_store(), ask).model_dump(mode="json")
