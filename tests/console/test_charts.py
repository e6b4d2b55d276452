"""Charts in a browser: drawn under the page's policy, from figures that a table beside them has."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser
from quorum.console import charts
from quorum.console.rendering import decimals, dollars
from quorum.ledger import ledger
from quorum.ledger.costs import CostRow

from tests.console.conftest import ATTACK, Issue
from tests.console.test_browser import (  # noqa: F401 shared
    address,
    browser,
    visitor,
)
from tests.console.test_browser import (
    pytestmark as needs_browser,
)

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

DAYS = ("0.00384", "0.02", "0.25")


def book(container: "ConsoleContainer") -> None:
    """Spending of some days."""
    for number, cost in enumerate(reversed(DAYS)):
        day = ledger.today() - timedelta(days=number)
        container.dynamodb.Table(container.settings.usage_table).put_item(
            Item={
                "key": ledger.usage_key(day, "gpt-4.1", "acme"),
                "entry": ledger.day_entry(day),
                "calls": 10 + number,
                "abstentions": number,
                "cost_usd": Decimal(cost),
            }
        )


def test_a_column_of_amounts_has_the_same_digits() -> None:
    amounts = [Decimal(day) for day in DAYS]
    assert [dollars(one, decimals(amounts)) for one in amounts] == [
        "$0.00384",
        "$0.02000",
        "$0.25000",
    ]
    assert [dollars(one, decimals(amounts[1:])) for one in amounts[1:]] == ["$0.02", "$0.25"]
    assert dollars(Decimal("0.0192")) == "$0.02"
    assert decimals([]) == 2


def test_a_chart_of_days_leaves_none_out() -> None:
    rows = [CostRow(name=day, calls=1) for day in ("2026-12-02", "2026-11-29")]
    shown = [(row.name, row.calls) for row in charts.every_day(rows)]
    days = ("2026-11-29", "2026-11-30", "2026-12-01", "2026-12-02")
    assert shown == list(zip(days, (1, 0, 0, 1), strict=True))
    assert charts.every_day([]) == []


def test_a_chart_holds_what_it_is_given_and_nothing_of_it_is_code() -> None:
    drawn = json.loads(charts.columns(["11-27"], {ATTACK: [0.25]}, "usd"))
    assert drawn["series"] == [{"name": ATTACK, "values": [0.25]}]


@needs_browser
@pytest.mark.parametrize(("look", "width"), [("en.light", 1280), ("ko.dark", 360)])
def test_charts_are_drawn_within_their_page_in_the_colours_of_its_theme(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    container: "ConsoleContainer",
    look: str,
    width: int,
) -> None:
    book(container)
    size = {"width": width, "height": 800}
    with visitor(browser, address, issue(), viewport=size) as page:
        page.context.add_cookies([{"name": "quorum-look", "value": look, "url": address}])
        for place in ("costs", "panels", "health"):
            page.goto(f"{address}/{place}")
            page.wait_for_selector(".chart canvas")
            assert page.locator("main table").count() > 0
            assert page.evaluate("document.documentElement.scrollWidth") <= width, place
            painted = "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some(one => one > 0)"  # noqa: E501 one call
            assert page.locator(".chart canvas").evaluate(painted), place
        page.goto(f"{address}/panels")
        page.wait_for_selector(".chart .point")
        assert page.locator("svg.plot").is_hidden()
        inside = """() => { const plot = document.querySelector(".chart").getBoundingClientRect();
            return [...document.querySelectorAll(".point")].map(one => one.getBoundingClientRect())
                .filter(one => one.left < plot.left || one.right > plot.right).length; }"""
        assert page.evaluate(inside) == 0


@needs_browser
def test_without_scripts_the_figures_are_there_all_the_same(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    container: "ConsoleContainer",
) -> None:
    book(container)
    with visitor(browser, address, issue(), java_script_enabled=False) as page:
        page.goto(f"{address}/costs")
        assert page.locator(".chart").is_hidden()
        assert "$0.00384" in page.locator("main").inner_text()
        page.goto(f"{address}/panels")
        assert page.locator("svg.plot").is_visible()
