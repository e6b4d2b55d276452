"""The page of panels and models: who votes, what is expected, and how right each voter was."""

from datetime import UTC, datetime
from typing import NamedTuple

from quorum.api.access import ACCESS
from quorum.console import charts
from quorum.console.answers import Answer
from quorum.console.pages.page import Page
from quorum.console.visits import Visit
from quorum.review.label_summary import VoterSummary, summary
from quorum.routes import catalogue, models
from quorum.vote.panels import PanelView

LABELS = 500
"""Labels that the agreement of voters is computed from: the latest ones."""
_NEEDS = ACCESS["GET /panels"]
_LABELS_NEED = ACCESS["GET /labels"]
_ACCURACY, _COST = "accuracy", "cost_per_1000_usd"


class Point(NamedTuple):
    """A panel on the plot of accuracy over cost, both as shares of the plot's size."""

    name: str
    cost: float
    accuracy: float
    x: float
    y: float


def panels(visit: Visit) -> Answer:
    """The panels and their shadows, the models, and the agreement of each voter with people."""
    found = catalogue.get_panels(visit.app, visit.caller)
    shadows = {
        one.panel.name: visit.app.panels.shadow_of(visit.tenant, one.panel.name)
        for one in found.panels
    }
    points = _points(found.panels)
    plotted = {point.name for point in points}
    return visit.page(
        "panels.html",
        found=found,
        shadows=shadows,
        points=points,
        drawn=charts.points(
            {point.name: (point.cost, point.accuracy) for point in points},
            visit.word("panels.cost"),
            visit.word("panels.accuracy"),
        ),
        unmeasured=[one.panel.name for one in found.panels if one.panel.name not in plotted],
        voters=_voters(visit) if visit.may(_LABELS_NEED) else None,
        models=models.get_models(visit.app).data,
    )


def _points(shown: tuple[PanelView, ...]) -> list[Point]:
    """The panels that were calibrated, by what is expected of them."""
    expected = {
        one.panel.name: (one.panel.expected[_COST].value, one.panel.expected[_ACCURACY].value)
        for one in shown
        if one.panel.expected and {_COST, _ACCURACY} <= one.panel.expected.keys()
    }
    dearest = max((cost for cost, _ in expected.values()), default=0) or 1
    lowest = min((accuracy for _, accuracy in expected.values()), default=0)
    floor = min(lowest, 0.9) - 0.05
    return [
        Point(name, cost, accuracy, cost / dearest, (accuracy - floor) / (1 - floor))
        for name, (cost, accuracy) in sorted(expected.items())
    ]


def _voters(visit: Visit) -> tuple[VoterSummary, ...]:
    labels = visit.app.labels.latest(visit.tenant, LABELS)
    return summary(labels, datetime.fromtimestamp(visit.app.clock(), UTC)).voters


PAGES = (Page("GET", "panels", _NEEDS, panels, in_navigation=True),)
