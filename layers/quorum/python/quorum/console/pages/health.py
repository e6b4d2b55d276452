"""The page of the service's health: models, queues, spending and alarms."""

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.health.service_state import alarm_states, model_states, queue_states

_NEEDS = ACCESS["GET /audit"]


def health(visit: Visit) -> Answer:
    """The state of what the tenant's panels need, as it is stored. Nothing is asked or paid."""
    app = visit.app
    panels = app.panels.in_force(visit.tenant, app.settings.default_panel)
    voters = dict.fromkeys(voter for panel in panels for voter in panel.voters)
    asked = [name for name in voters if app.models.model(name).kind == "gateway"]
    stack = app.settings.panels_path.strip("/")
    return visit.page(
        "health.html",
        models=model_states(asked, app.settings.gateway_base_url, app.breaker, app.limiter),
        queues=queue_states(app.sqs, app.queues),
        alarms=alarm_states(app.cloudwatch, stack),
        spent=app.budget.spent_today(visit.tenant),
        limit=app.settings.budget_tenant_usd,
        resets_at=app.budget.resets_at(),
    )


PAGES = (Page("GET", "health", _NEEDS, health, in_navigation=True),)
