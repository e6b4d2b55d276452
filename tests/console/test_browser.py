"""The console in a browser: two reviewers by keyboard, Korean keys, and what axe-core finds."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from quorum.console.site import NAVIGATION
from quorum.review.appeals import AppealRequest
from quorum.vote.policy import INSTRUCTIONS

from fakes.console import served
from functions.console import app as console
from tests.console.conftest import BATCH, Issue, Store, new_batch, put_policy, reject

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a browser: apt-get install chromium (CONTRIBUTING)"
)
SERIOUS = {"serious", "critical"}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def address(container: "ConsoleContainer", context: Any) -> Iterator[str]:
    """Where the console is served."""
    with served(console.handler, context) as at:
        yield at


@contextmanager
def visitor(browser: Browser, address: str, key: str, **looks: Any) -> Iterator[Page]:
    """A browser of its own that is signed in; no error of its console is overlooked."""
    with_cookies = browser.new_context(**looks)
    page = with_cookies.new_page()
    told: list[str] = []

    # A page that asks for a key is a 401, and one that is not there a 404: a browser says so.
    def heard(one: ConsoleMessage) -> None:
        if "status of 4" not in one.text:
            told.append(f"{one.type}: {one.text}")

    page.on("console", heard)
    page.on("pageerror", lambda error: told.append(f"error: {error}"))
    page.goto(address)
    page.fill("[name=key]", key)
    page.click("main form:first-of-type button")
    page.wait_for_selector("nav")
    yield page
    with_cookies.close()
    assert [one for one in told if one.startswith(("error", "warning"))] == []


def settle(page: Page) -> None:
    """Wait until keys count: a moment after a page has come."""
    page.wait_for_selector("html[data-settled]")


def press(page: Page, *keys: str) -> None:
    settle(page)
    for key in keys:
        page.keyboard.press(key)


def leave(page: Page, before: str) -> None:
    """Wait until the page is another one."""

    def is_another(url: str) -> bool:
        return url != before

    page.wait_for_url(is_another)


def shown(page: Page) -> str:
    """Ask for the text by its key; returns it."""
    press(page, "r")
    return page.locator(".words").inner_text()


def test_two_reviewers_by_keyboard_decide_ten_contents_and_none_twice(
    browser: Browser, address: str, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    for number in range(10):
        store(f"verdict-{number}", minutes=20 - number)
    seen: list[str] = []
    with (
        visitor(browser, address, issue()) as ada,
        visitor(browser, address, issue("grace"), locale="ko-KR") as grace,
    ):
        for reviewer in (ada, grace):
            press(reviewer, "Enter")
            reviewer.wait_for_selector("#content")
        for _ in range(5):
            for reviewer, decision in ((ada, "u1"), (grace, "s")):
                assert reviewer.locator(".words").count() == 0
                seen.append(shown(reviewer))
                before = reviewer.url
                press(reviewer, *decision, "Enter")
                leave(reviewer, before)
        ada.wait_for_selector(".empty")
        press(ada, "z")
        ada.wait_for_selector("#content")
        assert ada.locator("#safe").is_disabled()
    assert sorted(seen) == sorted({f"the text of verdict-{number}" for number in range(10)})
    reviews = [container.verdicts.get("acme", f"verdict-{number}").review for number in range(10)]
    made = [(one.reviewer, str(one.decision), one.categories) for one in reviews if one]
    assert made.count(("ada", "unsafe", ("harassment",))) == 4
    assert made.count(("grace", "safe", ())) == 5
    assert made.count(("ada", "needs_review", ())) == 1  # taken back


def test_an_appeal_is_decided_by_another_reviewer_than_the_first(
    browser: Browser, address: str, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1")
    with (
        visitor(browser, address, issue()) as ada,
        visitor(browser, address, issue("grace")) as grace,
    ):
        press(ada, "Enter")
        ada.wait_for_selector("#content")
        shown(ada)
        press(ada, "u", "1", "Enter")
        ada.wait_for_selector(".empty")
        request = AppealRequest(words="I was quoting a song.")
        container.appeals.make("acme", "verdict-1", request, by="forum")
        for reviewer in (ada, grace):
            reviewer.goto(f"{address}/review?origin=appeal")
            press(reviewer, "Enter")
        ada.get_by_text("has to be decided by somebody else").wait_for()
        grace.wait_for_selector("#content")
        assert shown(grace) == "the text of verdict-1"
        assert "I was quoting a song." in grace.locator("main").inner_text()
        press(grace, "s", "Enter")
        grace.wait_for_selector(".empty")
    verdict = container.verdicts.get("acme", "verdict-1")
    assert verdict.review is not None
    assert (verdict.review.reviewer, str(verdict.review.decision)) == ("grace", "safe")
    assert verdict.appeal is not None
    assert str(verdict.appeal.state) == "overturned"


def test_keys_count_by_place_and_leave_fields_and_the_browsers_own_alone(
    browser: Browser, address: str, issue: Issue, store: Store
) -> None:
    store("verdict-1")
    with visitor(browser, address, issue()) as page:
        settle(page)
        send = "([type, code, key, more]) => document.activeElement.dispatchEvent(new KeyboardEvent(type, {code, key, bubbles: true, cancelable: true, ...more}))"  # noqa: E501 one call
        page.keyboard.press("j")
        assert page.evaluate("document.activeElement.hasAttribute('data-row')")
        page.goto(f"{address}/review/verdict-1?show=1")
        settle(page)
        page.evaluate(send, ["keydown", "KeyU", "u", {"ctrlKey": True}])
        page.evaluate(send, ["keydown", "KeyU", "u", {"repeat": True}])
        assert not page.locator("#unsafe").is_checked()
        page.evaluate(send, ["keydown", "KeyU", "ㅕ", {}])
        assert page.locator("#unsafe").is_checked()
        page.evaluate(send, ["keydown", "KeyS", "Process", {}])
        assert page.locator("#safe").is_checked()
        page.locator("#decision [name=note]").focus()
        page.keyboard.type("user jk?")
        assert page.locator("#safe").is_checked()
        assert page.locator("#decision [name=note]").input_value() == "user jk?"
        page.keyboard.press("Escape")
        page.keyboard.press("?")
        assert page.locator("dialog").is_visible()
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.wait_for_selector(".veil")
        assert page.locator(".words").count() == 0


@pytest.mark.parametrize("look", ["en.light", "ko.dark"])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    browser: Browser,
    address: str,
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    look: str,
) -> None:
    store("verdict-1", scores={"hate": 0.9}, metadata={"a": "b"}, language="en")
    new_batch(container)
    put_policy(container, "gaming", "Insults are safe.", "Insults are unsafe.")
    places = [entry.path for entry in NAVIGATION]
    more = ["review/verdict-1", "review/verdict-1?show=1", "verdicts/verdict-1", "no-such-page"]
    more += [f"batches/{BATCH}", "policies/gaming", "policies/new-one"]
    with visitor(browser, address, issue()) as page:
        page.context.add_cookies([{"name": "quorum-look", "value": look, "url": address}])
        for place in (*places, *more):
            page.goto(f"{address}/{place}")
            found = Axe().run(page, options={"runOnly": TAGS})
            serious = [one for one in found.response["violations"] if one["impact"] in SERIOUS]
            told = [(one["id"], one["nodes"][0]["html"][:200]) for one in serious]
            assert told == [], place
            page.set_viewport_size({"width": 360, "height": 740})
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, place
            page.set_viewport_size({"width": 1280, "height": 800})


def test_stored_scripts_run_nowhere_and_no_script_reads_the_cookie(
    browser: Browser, address: str, issue: Issue, store: Store
) -> None:
    attack = "<img src=x onerror=document.title='hit'><script>document.title='hit'</script>"
    store("verdict-1", text=attack, metadata={"x": attack}, content_id=attack, reason=attack)
    with visitor(browser, address, issue()) as page:
        for place in ("review/verdict-1?show=1", "verdicts/verdict-1", "verdicts"):
            page.goto(f"{address}/{place}")
            assert page.title() != "hit"
            assert page.locator("main img").count() == 0
        assert page.evaluate("document.cookie") == ""


def test_a_policy_is_edited_tried_put_in_force_and_rolled_back(
    browser: Browser, address: str, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    put_policy(container, "default", INSTRUCTIONS)
    store("verdict-1", said="unsafe", scores={"harassment": 0.9})
    document = '{"categories": {"harassment": {"action": "ignore"}}}'

    def rules() -> dict[str, object]:
        return dict(container.policies.view("acme", "default").policy.get("categories") or {})

    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/policies/default")
        page.fill("[name=document]", document)
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector("#trial")
        assert "1 / 1" in page.locator("#trial").inner_text()
        assert page.locator("[name=document]").input_value() == document
        page.get_by_role("button", name="Put in force").click()
        page.get_by_text("The policy is in force.").wait_for()
        assert list(rules()) == ["harassment"]
        page.get_by_role("button", name="Roll back to this").click()
        page.get_by_text("The policy is in force.").wait_for()
        assert rules() == {}


def test_progress_goes_on_by_itself_until_the_batch_has_ended(
    browser: Browser, address: str, issue: Issue, container: "ConsoleContainer"
) -> None:
    new_batch(container)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/batches/{BATCH}")
        assert page.locator("progress").get_attribute("value") == "50.0"
        reject(container, 2, 3)
        page.wait_for_selector("progress[value='100.0']")
        page.wait_for_selector("#live:not([data-live])")
        assert "Incomplete" in page.locator("#live").inner_text()


def test_a_remapped_key_does_what_its_new_letter_says_and_off_leaves_enter_alone(
    browser: Browser, address: str, issue: Issue, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1")
    store("verdict-2")
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/shortcuts")
        page.fill("[name=reveal]", "q")
        page.fill("[name=unsafe]", "w")
        page.click("main button.primary")
        page.goto(f"{address}/review/verdict-1")
        assert page.locator(".veil kbd").inner_text() == "Q"
        press(page, "r")
        assert page.locator(".words").count() == 0
        press(page, "q")
        assert page.locator(".words").inner_text() == "the text of verdict-1"
        assert page.locator("#content kbd").inner_text() == "Q"  # also of what came later
        press(page, "u")
        assert not page.locator("#unsafe").is_checked()
        press(page, "w")
        assert page.locator("#unsafe").is_checked()
        page.goto(f"{address}/shortcuts")
        page.check("[name=off]")
        page.click("main button.primary")
        page.goto(f"{address}/review/verdict-1?show=1")
        press(page, "r", "q", "w", "u", "s", "1", "b", "?")
        assert page.url.endswith("verdict-1?show=1")
        assert not page.locator("#unsafe").is_checked()
        assert page.locator("#shortcuts").is_hidden()
        assert page.locator(".words kbd:visible, .choice kbd:visible").count() == 0
        page.check("#safe")
        page.locator("#content h2").focus()
        before = page.url
        press(page, "Enter")
        leave(page, before)
    review = container.verdicts.get("acme", "verdict-1").review
    assert review is not None
    assert review.decision == "safe"
