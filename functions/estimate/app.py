"""What documents would cost: read, count → answer. A function of its own, for it reads files."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from quorum.api.http import answer, resolve, resolver
from quorum.app.estimates import EstimateContainer
from quorum.app.settings import EstimateSettings
from quorum.aws.boundary import guarded
from quorum.document.requests import EstimateRequest
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

routes = resolver()


@cache
def app() -> EstimateContainer:
    """What this function opens, once per environment."""
    return EstimateContainer(EstimateSettings.from_environment())


@routes.post("/documents/estimate", summary="See what a batch of documents would take")
def post_estimate(request: EstimateRequest) -> Response[Any]:
    """Tokens, dollars, won and time, in all and document by document; nothing is kept.

    `compare` adds what every other model would take.
    """
    tenant = str(routes.current_event.request_context.authorizer["tenant"])
    deadline = Deadline.of_lambda(routes.lambda_context.get_remaining_time_in_millis())
    return answer(app().estimates.take(tenant, request, deadline))


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """One HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context)
