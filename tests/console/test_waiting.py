"""The console's script in a browser: what htmx may do, and what a page shows that is waited for."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page, Route

from tests.console.conftest import Issue, Store
from tests.console.test_browser import (  # noqa: F401 shared
    address,
    browser,
    leave,
    press,
    pytestmark,
    visitor,
)

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer


def held_back(page: Page, pattern: str) -> Callable[[], None]:
    """Hold the requests of a pattern back; what is returned lets them go."""
    held: list[Route] = []
    page.route(re.compile(pattern), lambda one: held.append(one))  # noqa: PLW0108 playwright marks it

    def let_go() -> None:
        for one in held:
            one.continue_()

    return let_go


def test_a_link_says_that_its_page_is_on_its_way_and_goes_on_without_loading_files_anew(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
) -> None:
    moving = "getComputedStyle(document.querySelector('#busy'), '::before').animationName"
    with visitor(browser, address, issue(), reduced_motion="reduce") as page:
        page.goto(f"{address}/keys")
        let_go = held_back(page, "/verdicts$")
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.resource_type))
        page.click("nav a[href$=verdicts]")
        page.wait_for_selector("#busy:not(:empty)")
        assert page.locator("main").get_attribute("aria-busy") == "true"
        assert page.evaluate(moving) == "none"
        page.emulate_media(reduced_motion="no-preference")
        assert page.evaluate(moving) == "waiting"
        let_go()
        page.wait_for_selector("h1:text('Verdicts')")
        assert page.locator("#busy").inner_text() == ""
        assert page.locator("main").get_attribute("aria-busy") is None
        assert {"xhr"} <= set(asked) <= {"xhr", "image", "other"}  # no script, no stylesheet
        assert page.title() == "Verdicts · Quorum"
        assert page.locator("nav [aria-current]").inner_text() == "Verdicts"
        assert page.evaluate("document.activeElement.id") == "main"
        page.go_back()
        page.wait_for_selector("h1:text('API keys')")
        assert page.evaluate("Object.keys({...localStorage, ...sessionStorage})") == [
            "htmx-current-path-for-history"  # no page is kept, only the address
        ]


def test_a_form_without_an_answer_keeps_what_was_typed_and_can_be_sent_again(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
) -> None:
    key, context = issue(), browser.new_context()
    page = context.new_page()
    page.goto(address)
    page.fill("[name=key]", key)
    page.click("main form:first-of-type button")
    page.goto(f"{address}/keys")
    page.fill("form.card [name=name]", "crawler")
    page.locator("form.card [name=scope]").first.check()
    for broken in (
        lambda one: one.abort(),
        lambda one: one.fulfill(status=502, json={"message": "Internal server error"}),
    ):
        page.route("**/keys", broken)
        page.click("form.card button.primary")
        page.locator("#failed").wait_for()
        assert page.locator("form.card [name=name]").input_value() == "crawler"
        assert page.evaluate("document.documentElement.dataset.busy") is None
        page.unroute("**/keys")
    page.click("form.card button.primary")
    page.locator("#new-key").wait_for()
    assert page.locator("#failed").is_hidden()
    context.close()


def test_an_ended_session_asks_for_a_key_wherever_the_page_was_asked_from(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
) -> None:
    store("verdict-1", text="a text that is not left on the screen")
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/verdict-1?show=1")
        page.context.clear_cookies()
        page.click("nav a[href$=verdicts]")
        page.locator("[name=key]").wait_for()
        assert page.locator(".words").count() == 0


def test_the_answer_to_a_form_can_be_loaded_anew(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    container: "ConsoleContainer",
) -> None:
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/policies/new-one")
        page.fill("[name=document]", "no document")
        before = page.url
        page.get_by_role("button", name="Try").click()
        page.locator("#problem").wait_for()
        assert page.url == f"{before}/try"
        page.reload()
        assert page.locator("h1").inner_text() == "Policy: new-one"
        assert page.url == before


def test_attributes_of_htmx_in_what_people_wrote_stay_text(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
) -> None:
    attack = (
        '"><b id="frame" hx-get="/stolen" hx-trigger="load" data-hx-get="/stolen">x</b>'
        "<hx-partial hx-get=/stolen>"
    )
    store("verdict-1", text=attack, metadata={"x": attack}, content_id=attack, reason=attack)
    store("verdict-2", text=attack)
    with visitor(browser, address, issue()) as page:
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.url))
        page.goto(f"{address}/review/verdict-1?show=1")
        for veil in (True, False):
            assert page.locator(".words").inner_text() == attack
            assert page.locator(".words *, [hx-get='/stolen'], [data-hx-get]").count() == 0
            assert page.locator("#frame").count() == 1
            if veil:  # and once more as htmx puts it into the page
                press(page, "r")
                page.wait_for_selector(".veil")
                press(page, "r")
                page.wait_for_selector(".words")
        page.click("nav a[href$=verdicts]")
        page.click("main a[href$='verdicts/verdict-1']")
        page.wait_for_url("**/verdicts/verdict-1")
        assert attack in page.locator("main").inner_text()
        assert page.locator("[hx-get='/stolen'], [data-hx-get]").count() == 0
        assert [one for one in asked if "stolen" in one] == []
