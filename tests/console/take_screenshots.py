"""Pictures of the console for its documentation: `make screenshots`. No test: it is asked for."""

from typing import TYPE_CHECKING, Any

import pytest
from quorum.audit.chain import Action, Change

from tests.console.conftest import BATCH, Issue, Store, new_batch, put_policy
from tests.console.test_browser import address, browser, pytestmark, visitor  # noqa: F401 shared
from tests.console.test_charts import book
from tests.template import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser
    from quorum.app.console import ConsoleContainer

FOLDER = ROOT / "docs/console"
TEXTS = (
    "Nobody here wants to hear from you again, you absolute waste of space.",
    "이 사람 주소 아는 사람? 한번 찾아가서 혼내 줘야겠다.",
    "I can't keep going like this any more.",
    "Great match, but the referee should look for another job.",
    "Selling my old bike, message me for the price.",
)
POLICIES = (
    "Insults between players who play together are safe.\nThreats outside of the game are unsafe.",
    "Insults are unsafe, also between players.\nThreats outside of the game are unsafe.",
)
DESK = {"width": 1280, "height": 820}
PHONE = {"width": 360, "height": 780}


@pytest.mark.parametrize(
    ("name", "look", "place", "size"),
    [
        ("review", "en.light", "review", DESK),
        ("item", "en.light", "review/verdict-1?show=1", DESK),
        ("item-ko-dark", "ko.dark", "review/verdict-1", DESK),
        ("item-phone", "ko.light", "review/verdict-1?show=1", PHONE),
        ("verdict", "en.dark", "verdicts/verdict-8", DESK),
        ("verdicts-ko", "ko.light", "verdicts", DESK),
        ("batch", "en.light", f"batches/{BATCH}", DESK),
        ("batches-ko", "ko.dark", "batches", DESK),
        ("policy", "en.light", "policies/gaming?version=FIRST", DESK),
        ("policies-ko", "ko.light", "policies", DESK),
        ("panels", "en.dark", "panels", DESK),
        ("keys", "en.light", "keys", DESK),
        ("health", "en.light", "health", DESK),
        ("keys-phone", "ko.light", "keys", PHONE),
        ("costs", "en.light", "costs", DESK),
        ("costs-phone", "ko.dark", "costs", PHONE),
        ("audit-ko", "ko.light", "audit", DESK),
        ("try-ko-dark", "ko.dark", "try", DESK),
    ],
)
def test_picture(  # noqa: PLR0913, PLR0917 a parameter for each fact of a picture
    browser: "Browser",  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    name: str,
    look: str,
    place: str,
    size: dict[str, int],
) -> None:
    _fill(store, container)
    with visitor(browser, address, issue("reviewer-7"), viewport=size) as page:
        page.context.add_cookies([{"name": "quorum-look", "value": look, "url": address}])
        first = container.policies.view("acme", "gaming").history[-1].version or ""
        page.goto(f"{address}/{place.replace('FIRST', first)}")
        page.wait_for_selector("html[data-settled]")
        for chart in page.locator("[data-chart]").all():
            chart.locator("canvas").wait_for()
        FOLDER.mkdir(exist_ok=True)
        page.screenshot(path=FOLDER / f"{name}.png")


def _fill(store: Store, container: "ConsoleContainer") -> None:
    new_batch(container)
    book(container)
    put_policy(container, "gaming", *POLICIES)
    scores: tuple[Any, ...] = (
        {"harassment": 0.82},
        {"harassment/threatening": 0.71, "harassment": 0.9},
        {"self-harm/intent": 0.64},
        {},
        {},
    )
    languages = ("en", "ko", "en", "en", "en")
    for number, text in enumerate(TEXTS):
        store(
            f"verdict-{number}",
            minutes=47 - 9 * number,
            text=text,
            scores=scores[number],
            language=languages[number],
            reason="a threat against a person" if number == 1 else "",
            metadata={"channel": "comments"},
        )
    store("verdict-8", minutes=3, said="unsafe", scores={"hate": 0.97}, text="…", language="en")
    store("verdict-9", minutes=2, said="safe", text="Thanks for the recipe!", language="en")
    for action, before, after in (
        (Action.POLICY_PUT, "3f2a9c1d", "77b01e44"),
        (Action.KEY_ISSUED, None, "4c1d90aa"),
    ):
        change = Change(
            action=action,
            by="operators",
            subject="policy/gaming" if before else "key/4c1d90aa12f0",
            before={"version": before} if before else {},
            after={"version": after},
        )
        container.audit.record("acme", change)
