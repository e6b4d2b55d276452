"""The steps of the bulk machine: an upload → pages → verdicts → results."""

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from quorum.app import container
from quorum.app.settings import BulkSettings
from quorum.bulk.machine import Bulk, Finish, JudgePage, Prepare, step_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from quorum.bulk.judging import Judging
    from quorum.vote.panels import Panels
    from quorum.vote.verdicts import Verdicts


@cache
def settings() -> BulkSettings:
    """This function's settings, read once per environment."""
    return BulkSettings.from_environment()


@cache
def bulk() -> Bulk:
    """The bucket, opened once per environment."""
    return container.bulk(settings())


@cache
def judging() -> "Judging":
    """Who judges the items, opened once per environment."""
    return container.judging(settings())


@cache
def verdicts() -> "Verdicts":
    """The stored verdicts, opened once per environment."""
    return container.verdicts(settings())


@cache
def panels() -> "Panels":
    """The deployment's panels, opened once per environment."""
    return container.panels(settings())


def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """What one step came to."""
    match step_of(event):
        case Prepare() as step:
            return bulk().prepare(step, partial(panels().get, step.tenant))
        case JudgePage() as step:
            return bulk().moderate_page(step, judging(), verdicts())
        case Finish() as step:
            return bulk().finish(step)
