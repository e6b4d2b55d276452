"""The page of costs: by day, model, decision and tenant, beside the day's budget."""

from typing import TYPE_CHECKING

from quorum.api.access import ACCESS
from quorum.console import charts
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.routes.parameters import days
from quorum.routes.spending import whose

if TYPE_CHECKING:
    from quorum.ledger.costs import By


def costs(visit: Visit) -> Answer:
    """What was spent in some days, by default of this month."""
    app, tenant = visit.app, whose(visit.caller)
    parts: list[By] = ["day", "model", "decision"]
    if tenant is None:
        parts.append("tenant")
    reports = app.costs.reports(tenant, *days(visit.day("from"), visit.day("to")), parts)
    by_day = reports["day"]
    dearest_first = {
        by: sorted(reports[by].rows, key=lambda row: (-row.cost_usd, row.name))
        for by in parts
        if by in {"model", "tenant"}
    }
    daily = charts.every_day(by_day.rows)
    spent = [float(row.cost_usd) for row in daily]
    return visit.page(
        "costs.html",
        drawn=charts.columns([row.name[5:] for row in daily], {visit.word("cost"): spent}, "usd"),
        report=by_day,
        by_day=sorted(by_day.rows, key=lambda row: row.name),
        others=dearest_first,
        by_decision=reports["decision"].rows,
        highest=max((row.cost_usd for row in by_day.rows), default=0),
        spent=app.budget.spent_today(visit.tenant),
        budget=app.settings.budget_tenant_usd,
    )


PAGES = (Page("GET", "costs", ACCESS["GET /costs"], costs, in_navigation=True),)
