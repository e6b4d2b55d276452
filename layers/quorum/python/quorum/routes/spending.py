"""Routes about money: spending, and the savings of cached answers."""

from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.answer.answers import Statistics
from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.ledger.costs import By, CostReport
from quorum.routes.parameters import App, From, To, days

if TYPE_CHECKING:
    from quorum.aws.keys import Caller

router = new_router()


@router.get("/stats", summary="Read the savings of cached answers", **gives(Statistics))
def get_stats(app: App, caller: Calling, start: From = None, end: To = None) -> Statistics:
    """Cache hits, misses and savings of the caller's tenant, by default of this month."""
    return app.answers.statistics(caller.tenant, *days(start, end))


@router.get("/costs", summary="Read a cost report", **gives(CostReport))
def get_costs(
    app: App,
    caller: Calling,
    start: From = None,
    end: To = None,
    by: Annotated[By, Query()] = "model",
) -> CostReport:
    """Booked and possible costs of the caller's tenant; of all for the deployment's operator."""
    return app.costs.report(whose(caller), *days(start, end), by)


def whose(caller: "Caller") -> str | None:
    """The tenant whose costs the caller sees; None for those of all."""
    return None if caller.role == "deployment_operator" else caller.tenant
