"""The route that estimates; it has a function of its own because it reads files."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Depends, Request

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.app.estimates import EstimateContainer
from quorum.core.errors import ModelUnknown, NotFound, TooLarge
from quorum.document.estimates import TakenEstimate
from quorum.document.requests import EstimateRequest
from quorum.gateway.deadline import Deadline

router = new_router()


def _opened(request: Request) -> EstimateContainer:
    container: EstimateContainer = request.context["container"]()
    return container


@router.post(
    "/documents/estimate",
    summary="Estimate a batch of documents",
    **gives(TakenEstimate, ModelUnknown, NotFound, TooLarge),
)
def post_estimate(
    request: EstimateRequest,
    app: Annotated[EstimateContainer, Depends(_opened)],
    caller: Calling,
) -> TakenEstimate:
    """Tokens, dollars, won and time, in total and by document; nothing is stored.

    `compare` adds the estimates of every other model.
    """
    deadline = Deadline.of_lambda(router.lambda_context.get_remaining_time_in_millis())
    return app.estimates.take(caller.tenant, request, deadline)
