"""HTTP routes: all of `quorum.routes` but those with a function of their own."""

from typing import TYPE_CHECKING, Any

from quorum.api.http import resolve, resolver
from quorum.app.api import ApiContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ApiSettings
from quorum.aws.boundary import guarded
from quorum.routes import (
    audit,
    batches,
    catalogue,
    completions,
    evidence,
    health,
    keys,
    learning,
    models,
    moderations,
    perspective,
    policies,
    reviews,
    spending,
    verdicts,
)

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

SUBJECTS = (
    *(
        verdicts,
        reviews,
        learning,
        evidence,
        moderations,
        perspective,
        batches,
        completions,
        spending,
    ),
    *(catalogue, models, policies, keys, health, audit),
)
ERROR_FORMS = moderations.ERROR_FORMS | perspective.ERROR_FORMS
routes = resolver(
    *(subject.router for subject in SUBJECTS),
    ignored_parameters=perspective.IGNORED_PARAMETERS,
    lenient_routes=perspective.LENIENT_ROUTES,
)


@opened_once
def app() -> ApiContainer:
    """The container."""
    return ApiContainer(ApiSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context, app, ERROR_FORMS)
