"""The page of costs: by day and by model."""

from quorum.api.access import ACCESS
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.routes import spending


def costs(visit: Visit) -> Answer:
    """What was spent in some days, by default of this month."""
    start, end = visit.day("from"), visit.day("to")
    by_day = spending.get_costs(visit.app, visit.caller, start, end, "day")
    by_model = spending.get_costs(visit.app, visit.caller, start, end, "model")
    return visit.page(
        "costs.html",
        report=by_day,
        by_day=sorted(by_day.rows, key=lambda row: row.name),
        by_model=sorted(by_model.rows, key=lambda row: (-row.cost_usd, row.name)),
        highest=max((row.cost_usd for row in by_day.rows), default=0),
    )


PAGES = (Page("GET", "costs", ACCESS["GET /costs"], costs, in_navigation=True),)
