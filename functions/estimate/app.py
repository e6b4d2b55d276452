"""What documents would cost: read, count → answer. A function of its own, for it reads files."""

from functools import cache
from typing import TYPE_CHECKING, Any

from quorum.api.http import resolve, resolver
from quorum.app.estimates import EstimateContainer
from quorum.app.settings import EstimateSettings
from quorum.aws.boundary import guarded
from quorum.routes import estimates

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

routes = resolver(estimates.router)


@cache
def app() -> EstimateContainer:
    """What this function opens, once per environment."""
    return EstimateContainer(EstimateSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """One HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context, app)
