"""The page of the service's health: models, queues, spending and alarms."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from quorum.api.access import ACCESS
from quorum.console import charts
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.health.service_state import alarm_states, model_states, queue_states
from quorum.routes.spending import whose

if TYPE_CHECKING:
    from quorum.ledger.costs import CostRow

DAYS = 14
"""Days whose calls are shown."""
_NEEDS = ACCESS["GET /audit"]


def health(visit: Visit) -> Answer:
    """The state of what the tenant's panels need, as it is stored. Nothing is asked or paid."""
    app = visit.app
    panels = app.panels.in_force(visit.tenant, app.settings.default_panel)
    voters = dict.fromkeys(voter for panel in panels for voter in panel.voters)
    asked = [name for name in voters if app.models.model(name).kind == "gateway"]
    stack = app.settings.panels_path.strip("/")
    days = charts.every_day(_days(visit))
    calls = {
        visit.word("costs.calls"): [row.calls for row in days],
        visit.word("health.abstained"): [row.abstentions for row in days],
    }
    return visit.page(
        "health.html",
        models=model_states(asked, app.settings.gateway_base_url, app.breaker, app.limiter),
        queues=queue_states(app.sqs, app.queues),
        alarms=alarm_states(app.cloudwatch, stack),
        spent=app.budget.spent_today(visit.tenant),
        limit=app.settings.budget_tenant_usd,
        resets_at=app.budget.resets_at(),
        days=days,
        drawn=charts.columns([row.name[5:] for row in days], calls, "count"),
    )


def _days(visit: Visit) -> "tuple[CostRow, ...]":
    """Calls by day; none for who may not see costs, and where the page only asks what changed."""
    if visit.request.is_by_itself or not visit.may(ACCESS["GET /costs"]):
        return ()
    today = datetime.fromtimestamp(visit.app.clock(), UTC).date()
    start = today - timedelta(days=DAYS - 1)
    return visit.app.costs.report(whose(visit.caller), start, today, "day").rows


PAGES = (Page("GET", "health", _NEEDS, health, in_navigation=True),)
