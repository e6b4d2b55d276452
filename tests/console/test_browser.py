"""The console in a browser: two reviewers by keyboard, Korean keys, and what axe-core finds."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Route, sync_playwright
from quorum.console.site import NAVIGATION
from quorum.core.models import Content
from quorum.review.appeals import AppealRequest
from quorum.vote.policy import DEFAULT, INSTRUCTIONS

from fakes.console import served
from functions.console import app as console
from tests import make
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
    """Wait until the page is another one, and the form that led there is answered."""

    def is_another(url: str) -> bool:
        return url != before

    page.wait_for_url(is_another)
    page.wait_for_selector("html:not([data-busy])")


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


def test_submitting_brings_the_next_content_with_one_request_and_going_back_finds_it_decided(
    browser: Browser, address: str, issue: Issue, store: Store
) -> None:
    store("verdict-1", minutes=2)
    store("verdict-2", minutes=1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/verdict-1?order=oldest&show=1")
        asked: list[tuple[str, str]] = []

        def noted(one: Request) -> None:
            if one.resource_type in {"document", "xhr"}:
                asked.append((one.method, one.url.rpartition("/")[2]))

        page.on("request", noted)
        before = page.url
        press(page, "s", "Enter")
        leave(page, before)
        page.wait_for_selector("[data-undo]")
        assert shown(page) == "the text of verdict-2"
        by_key = "verdict-2?show=1&order=oldest"  # its text, which R asks for
        assert [one for one in asked if one[1] != "ahead"] == [("POST", "decide"), ("GET", by_key)]
        assert page.url.partition("?")[0] == f"{address}/review/verdict-2"
        assert page.evaluate("document.activeElement.id") == "content-title"
        assert "1 decided" in page.locator(".head").inner_text()
        page.reload()
        assert page.locator("#content").count() == 1
        page.goto(f"{address}/review/verdict-1")
        assert "Already decided" in page.locator("main").inner_text()


def test_a_text_that_is_tried_shows_the_votes_that_are_there_before_the_verdict(
    browser: Browser, address: str, issue: Issue, container: "ConsoleContainer"
) -> None:
    text, cache = "a text that is tried", container.vote_store.cache
    vote = make.cast("gemini-2.5-flash", "unsafe", confidence=0.93)
    key = cache.key("acme", vote.voter, Content(text=text), DEFAULT)
    container.dynamodb.meta.client.transact_write_items(TransactItems=[cache.put(key, vote)])  # type: ignore[list-item] # its type is a TypedDict
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/try")
        held: list[Route] = []
        page.route(re.compile("/try$"), lambda one: held.append(one))  # noqa: PLW0108 playwright marks it
        page.fill("[name=content]", text)
        page.click("main button.primary")
        page.wait_for_selector("#so-far .chip")
        told = page.locator("#so-far").inner_text()
        assert "1 of 3" in told
        assert re.search(r"gemini-2.5-flash\s+Unsafe 0.93", told), told
        assert re.search(r"gpt-4.1\s+no vote yet", told), told
        assert page.locator("#busy").inner_text() == "Working…"
        page.click("main button.primary")  # is not sent a second time
        held[0].continue_()
        page.wait_for_selector("#result")
        assert len(held) == 1
        assert page.locator("#busy").inner_text() == ""
        assert page.locator("#so-far .chip").count() == 0


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
        page.evaluate(send, ["keydown", "Numpad1", "End", {}])
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
        press(page, "e")  # what is typed next is a note, and no key
        page.keyboard.type("bus")
        assert page.locator("[action$=escalate] [name=note]").input_value() == "bus"
        page.keyboard.press("Escape")
        press(page, "x")
        assert page.evaluate("document.activeElement.name") == "reason"
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        page.wait_for_selector(".veil")
        assert page.locator(".words").count() == 0
        page.goto(f"{address}/review")
        press(page, "NumpadEnter")
        page.wait_for_selector("#content")


def test_nothing_is_broken_within_a_word_cut_off_or_out_of_sight(
    browser: Browser, address: str, issue: Issue
) -> None:
    with visitor(browser, address, issue(), viewport={"width": 1280, "height": 820}) as page:
        page.goto(f"{address}/verdicts?policy=none")
        for button in page.locator(".filters .actions > *").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] < 45, button.inner_text()  # one line
        page.goto(f"{address}/panels")
        cut = """() => { const plot = document.querySelector(".plot").getBoundingClientRect();
            return [...document.querySelectorAll(".plot text")]
                .map(one => one.getBoundingClientRect())
                .filter(one => one.left < plot.left || one.right > plot.right).length; }"""
        assert page.evaluate(cut) == 0
        page.set_viewport_size({"width": 360, "height": 780})
        page.goto(f"{address}/audit")
        current = page.locator("nav [aria-current]").bounding_box()
        heading = page.locator("h1").bounding_box()
        assert current is not None
        assert heading is not None
        assert 0 <= current["x"] < current["x"] + current["width"] <= 360
        assert heading["y"] < 160  # right below the navigation, also of a short page


def every_page(store: Store, container: "ConsoleContainer") -> list[str]:
    """The paths of pages of every kind, with something on them."""
    store("verdict-1", scores={"hate": 0.9}, metadata={"a": "b"}, language="en")
    new_batch(container)
    put_policy(container, "gaming", "Insults are safe.", "Insults are unsafe.")
    made = container.proposals.add("acme", make.made_proposal(), by="ada")
    return [
        *(entry.path for entry in NAVIGATION),
        *("review/verdict-1", "review/verdict-1?show=1", "verdicts/verdict-1", "no-such-page"),
        *(f"batches/{BATCH}", "policies/gaming", "policies/new-one", "shortcuts"),
        f"labels/{made.id}",
    ]


@pytest.mark.parametrize("look", ["en.light", "ko.dark"])
def test_axe_finds_nothing_serious_and_nothing_is_cut_off(
    browser: Browser,
    address: str,
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    look: str,
) -> None:
    places = every_page(store, container)
    with visitor(browser, address, issue()) as page:
        page.context.add_cookies([{"name": "quorum-look", "value": look, "url": address}])
        for place in places:
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
        with page.expect_response(re.compile("/roll-back$")):
            page.get_by_role("button", name="Roll back to this").click()
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
        page.wait_for_selector("#live:not([hx-trigger])")
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
        page.wait_for_selector("[data-undo]")
    review = container.verdicts.get("acme", "verdict-1").review
    assert review is not None
    assert review.decision == "safe"
