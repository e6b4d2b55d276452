"""Proposals of recalibrated panels, made by a schedule where labels call for them."""

from typing import TYPE_CHECKING, Any

from quorum.app.learning import ScheduleContainer
from quorum.app.opened import opened_once
from quorum.app.settings import ScheduleSettings
from quorum.aws.boundary import guarded
from quorum.aws.telemetry import logger
from quorum.core.errors import StoreUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

_NEEDED_MS = 60_000
"""Milliseconds that must be left to begin with another tenant."""


@opened_once
def app() -> ScheduleContainer:
    """The container."""
    return ScheduleContainer(ScheduleSettings.from_environment())


@guarded
def handler(_event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Propose what the labels of all tenants call for.

    A run in which a tenant failed fails at its end: it comes again, and at last somebody is told.
    """
    run = app().scheduled.run(enough=lambda: context.get_remaining_time_in_millis() > _NEEDED_MS)
    found = run.model_dump()
    logger.info("proposals", extra=found)
    if run.failed:
        raise StoreUnavailable(f"{run.failed} of {run.tenants} tenants could not be looked at")
    return found
