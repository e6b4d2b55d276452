"""After each round: tally, then record what is settled or say who is asked next."""

from functools import cache
from time import time
from typing import TYPE_CHECKING, Any

from quorum import books, telemetry
from quorum.case import AggregateRequest, Deliberation, deliberate
from quorum.settings import BooksSettings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.verdicts import Verdicts


@cache
def verdicts() -> "Verdicts":
    """The verdicts' side of the books, opened once per environment."""
    return books.verdicts(BooksSettings.from_environment())


def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Where the case stands (`quorum.case.Deliberation`)."""
    request = AggregateRequest.model_validate(event)
    standing = deliberate(request.case, request.complete(), round_number=request.round, now=time())
    return record(request, standing).model_dump(mode="json")


def record(request: AggregateRequest, standing: Deliberation) -> Deliberation:
    """`standing`, with its verdict as stored."""
    if standing.verdict is None:
        return standing
    verdict = verdicts().record(
        request.case.tenant, request.case.content, standing.verdict, request.case.place
    )
    telemetry.verdict_reached(verdict)
    return standing.model_copy(update={"verdict": verdict})
