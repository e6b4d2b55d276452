"""Estimates of documents: read, count → answer. A function of its own because it reads files."""

from typing import TYPE_CHECKING, Any

from quorum.api.http import resolve, resolver
from quorum.app.estimates import EstimateContainer
from quorum.app.opened import opened_once
from quorum.app.settings import EstimateSettings
from quorum.aws.boundary import guarded
from quorum.routes import estimates

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

routes = resolver(estimates.router)


@opened_once
def app() -> EstimateContainer:
    """The container."""
    return EstimateContainer(EstimateSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context, app)
