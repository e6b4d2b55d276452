"""Every gateway voter: one code base, deployed once per model."""

from functools import cache
from typing import TYPE_CHECKING, Any

from quorum import books, registry
from quorum.settings import VoteSettings
from quorum.vote import voting
from quorum.vote.case import VoteRequest

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.gateway.client import Gateway


@cache
def settings() -> VoteSettings:
    """This function's settings, read once per environment."""
    return VoteSettings.from_environment()


@cache
def ballots() -> voting.Ballots:
    """The voters' side of the books, opened once per environment."""
    return books.ballots(settings())


@cache
def gateway() -> "Gateway":
    """The gateway client, opened once per environment: its connections stay open between votes."""
    return books.gateway(settings())


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """This model's vote on the case in `event`."""
    case = VoteRequest.model_validate(event).case
    model = registry.model(settings().voter)
    ask = voting.ask_gateway(case, model, gateway(), context.get_remaining_time_in_millis())
    return voting.vote(case, model.name, ballots(), ask).model_dump(mode="json")
