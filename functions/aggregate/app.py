"""After each round: tally, then record what is settled or say who is asked next."""

from functools import cache
from time import time
from typing import TYPE_CHECKING, Any

from quorum.app import container
from quorum.app.settings import AggregateSettings
from quorum.vote import telemetry
from quorum.vote.evaluation import AggregateRequest, RoundResult, conclude_round
from quorum.vote.shadow import shadowed

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.vote.panels import Panels
    from quorum.vote.verdicts import Verdicts


@cache
def settings() -> AggregateSettings:
    """This function's settings, read once per environment."""
    return AggregateSettings.from_environment()


@cache
def verdicts() -> "Verdicts":
    """The verdicts' side of the container, opened once per environment."""
    return container.verdicts(settings())


@cache
def panels() -> "Panels":
    """The deployment's panels, opened once per environment: for the shadows."""
    return container.panels(settings())


def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Where the case stands (`quorum.vote.evaluation.Deliberation`)."""
    request = AggregateRequest.model_validate(event)
    standing = conclude_round(
        request.evaluation, request.complete(), round_number=request.round, now=time()
    )
    return record(request, standing).model_dump(mode="json")


def record(request: AggregateRequest, standing: RoundResult) -> RoundResult:
    """`standing`, with its verdict as stored."""
    if standing.verdict is None:
        return standing
    judged = shadowed(standing.verdict, panels())
    verdict = verdicts().record(
        request.evaluation.tenant, request.evaluation.content, judged, request.evaluation.position
    )
    telemetry.verdict_reached(verdict)
    return standing.model_copy(update={"verdict": verdict})
