"""The console: pages for reviewers and operators."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from quorum.app.console import ConsoleContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ConsoleSettings
from quorum.aws.boundary import guarded
from quorum.console.site import Site

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

site = Site(Path(__file__).parent)


@opened_once
def app() -> ConsoleContainer:
    """The container."""
    return ConsoleContainer(ConsoleSettings.from_environment())


@guarded
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answer one HTTP request of API Gateway's proxy integration."""
    return site.answer(event, context, app)
