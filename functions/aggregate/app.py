"""After each round: tally, then record what is settled or say who is asked next."""

from functools import cache
from time import time
from typing import TYPE_CHECKING, Any

from quorum import books, telemetry
from quorum.settings import AggregateSettings
from quorum.vote.case import AggregateRequest, Deliberation, deliberate
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
    """The verdicts' side of the books, opened once per environment."""
    return books.verdicts(settings())


@cache
def panels() -> "Panels":
    """The deployment's panels, opened once per environment: for the shadows."""
    return books.panels(settings())


def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Where the case stands (`quorum.vote.case.Deliberation`)."""
    request = AggregateRequest.model_validate(event)
    standing = deliberate(request.case, request.complete(), round_number=request.round, now=time())
    return record(request, standing).model_dump(mode="json")


def record(request: AggregateRequest, standing: Deliberation) -> Deliberation:
    """`standing`, with its verdict as stored."""
    if standing.verdict is None:
        return standing
    judged = shadowed(standing.verdict, panels())
    verdict = verdicts().record(
        request.case.tenant, request.case.content, judged, request.case.place
    )
    telemetry.verdict_reached(verdict)
    return standing.model_copy(update={"verdict": verdict})
