"""The steps of the bulk machine: an upload → pages → verdicts → results."""

from functools import partial
from typing import TYPE_CHECKING, Any

from quorum.app.bulk import BulkContainer
from quorum.app.opened import opened_once
from quorum.app.settings import BulkSettings
from quorum.aws.boundary import guarded
from quorum.batch.runs import ended_execution, record_end
from quorum.bulk.machine import Finish, JudgePage, Prepare, step_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@opened_once
def app() -> BulkContainer:
    """The container."""
    return BulkContainer(BulkSettings.from_environment())


@guarded
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """The result of one step; or a run that ended is recorded as such."""
    ended = ended_execution(event)
    if ended is not None:
        record_end(app().batches, ended)
        return {}
    match step_of(event):
        case Prepare() as step:
            return app().bulk.prepare(
                step,
                partial(app().panels.get, step.tenant),
                partial(app().policies.chosen, step.tenant),
                app().models.model,
            )
        case JudgePage() as step:
            return app().bulk.moderate_page(step, app().judging, app().verdicts)
        case Finish() as step:
            return app().bulk.finish(step)
