"""What documents would cost: read, count → answer. A function of its own, for it reads files."""

from functools import cache
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import Response
from quorum.api.http import answer, resolve, resolver
from quorum.app import container
from quorum.app.settings import EstimateSettings
from quorum.document.requests import EstimateRequest
from quorum.gateway.deadline import Deadline

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.document.estimates import Estimates

app = resolver()


@cache
def settings() -> EstimateSettings:
    """This function's settings, read once per environment."""
    return EstimateSettings.from_environment()


@cache
def estimates() -> "Estimates":
    """Who reads and counts, opened once per environment."""
    return container.estimates(settings())


@app.post("/documents/estimate", summary="See what a batch of documents would take")
def post_estimate(request: EstimateRequest) -> Response[Any]:
    """Tokens, dollars, won and time, in all and document by document; nothing is kept.

    `compare` adds what every other model would take.
    """
    tenant = str(app.current_event.request_context.authorizer["tenant"])
    deadline = Deadline.of_lambda(app.lambda_context.get_remaining_time_in_millis())
    return answer(estimates().take(tenant, request, deadline))


def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """One HTTP request of API Gateway's proxy integration."""
    return resolve(app, event, context)
