"""The routes of webhooks and events. A function of its own: it alone may encrypt their secrets."""

from typing import TYPE_CHECKING, Any

from quorum.api.http import resolve, resolver
from quorum.app.events import WebhookContainer
from quorum.app.opened import opened_once
from quorum.app.settings import WebhookSettings
from quorum.aws.boundary import guarded
from quorum.routes import webhooks

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

routes = resolver(webhooks.router)


@opened_once
def app() -> WebhookContainer:
    """The container."""
    return WebhookContainer(WebhookSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one HTTP request of API Gateway's proxy integration."""
    return resolve(routes, event, context, app)
