"""The next content, claimed while this one is decided: how long, for whom, and how it is shown."""

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, Request, Route
from quorum.console.entrance import LOCAL_COOKIE
from quorum.review.claims import AHEAD_SECONDS
from quorum.vote.review_claims import CLAIM_SECONDS, claim_of

from tests.clock import Clock
from tests.console.conftest import Client, Issue, Store
from tests.console.test_browser import (  # noqa: F401 shared
    address,
    browser,
    press,
    settle,
    shown,
    visitor,
)
from tests.console.test_browser import (
    pytestmark as needs_browser,
)
from tests.console.test_review_pages import grace, moving  # noqa: F401 shared

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer


def ends(container: "ConsoleContainer", name: str) -> tuple[str, float] | None:
    """Who has claimed a content, and for how many seconds from now."""
    table = container.dynamodb.Table("VerdictsTable")
    claim = claim_of(table.get_item(Key={"id": f"verdict#acme#{name}"})["Item"], container.clock())
    return None if claim is None else (claim.reviewer, claim.until.timestamp() - container.clock())


def wait_for_next(page: Page) -> None:
    """Wait until the page has the next content's."""
    for _ in range(500):
        if page.evaluate("ahead !== undefined"):
            return
        page.wait_for_timeout(20)
    raise AssertionError("no next content came")


def test_the_next_content_is_claimed_for_a_short_time_and_hidden(
    moving: Clock,  # noqa: F811 the fixture
    ada: Client,
    grace: Client,  # noqa: F811 the fixture
    store: Store,
    container: "ConsoleContainer",
) -> None:
    moving.now = float(int(moving.now))
    for minutes, name in enumerate(("third", "second", "first")):
        store(name, minutes)
    ada.post("review/begin", {"queue_order": "oldest"})
    ada.post("review/first/ahead", {"queue_order": "oldest"})
    assert (ada.status, "the text of second" in ada.body) == (200, False)
    assert ada.header("Content-Location") == "../../review/second?order=oldest"
    assert int(ada.header("Quorum-Until")) == moving.now + AHEAD_SECONDS
    assert ends(container, "first") == ("ada", CLAIM_SECONDS)
    assert ends(container, "second") == ("ada", AHEAD_SECONDS)
    assert grace.get("review/second").status == 409
    moving.now += AHEAD_SECONDS
    assert grace.get("review/second").status == 200
    # Where it was lost meanwhile, another one follows.
    ada.get("review/first")
    ada.post("review/first/decide", {"decision": "safe", "next": "second"})
    assert ada.place.startswith("/console/review/third")
    assert ada.post("review/third/ahead").status == 204


def test_no_claim_ends_sooner_because_its_content_is_the_next_of_another_page(
    moving: Clock,  # noqa: F811 the fixture
    ada: Client,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    moving.now = float(int(moving.now))
    store("first", 2)
    store("second", 1)
    for name in ("first", "second"):
        ada.get(f"review/{name}")
    ada.post("review/first/ahead")
    # Nor is it given back by that other page: it would need to know when the claim ends.
    assert ada.status == 200
    assert "Quorum-Until" not in ada.answer["multiValueHeaders"]
    assert ends(container, "second") == ("ada", CLAIM_SECONDS)


def test_a_content_that_was_not_opened_is_given_back_and_one_that_was_stays(
    moving: Clock,  # noqa: F811 the fixture
    ada: Client,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    store("first", 2)
    store("second", 1)
    ada.get("review/first")
    token = ada.form_token

    def give_back(until: str) -> int:
        return ada.post("review/second/give-back", {"form_token": token, "until": until}).status

    ada.post("review/first/ahead", {"queue_order": "oldest"})
    until = ada.header("Quorum-Until")
    assert give_back("soon") == 400
    assert give_back(until) == 204
    assert ends(container, "second") is None
    ada.get("review/first").post("review/first/ahead", {"queue_order": "oldest"})
    until = ada.header("Quorum-Until")
    moving.now += 1
    ada.get("review/first").post("review/first/decide", {"decision": "safe", "next": "second"})
    assert ada.place.startswith("/console/review/second")
    assert give_back(until) == 204
    held = ends(container, "second")
    assert held is not None
    assert held[1] > AHEAD_SECONDS


@pytest.mark.parametrize("where", ["sign-out", "sign-out-everywhere"])
def test_signing_out_gives_back_what_is_open_and_what_was_claimed_ahead(
    ada: Client, store: Store, container: "ConsoleContainer", where: str
) -> None:
    for minutes, name in enumerate(("third", "second", "first")):
        store(name, minutes)
    for name in ("third", "first"):
        ada.get(f"review/{name}")
    page = ada.body
    assert page.count('name="place" value="review/first"') == 3  # that of the look, and these two
    ada.post("review/first/ahead", {"queue_order": "oldest"})
    until = ada.header("Quorum-Until")
    ada.get("review/first").post(
        where, {"place": "review/first", "ahead": "second", "until": until}
    )
    assert (ada.status, ada.cookies) == (401, {})
    assert [ends(container, name) for name in ("first", "second")] == [None, None]
    assert ends(container, "third") is not None  # another page may have it open


@pytest.mark.parametrize(
    "sent",
    [
        *({"place": "review/none"}, {"place": "review/../x", "ahead": "first", "until": "soon"}),
        {"place": "verdicts", "ahead": "first", "until": "1"},
    ],
)
def test_signing_out_gives_back_nothing_else_and_never_fails(
    ada: Client, store: Store, container: "ConsoleContainer", sent: dict[str, str]
) -> None:
    store("first")
    ada.get("review/first").post("sign-out", sent)
    assert (ada.status, ada.cookies) == (401, {})
    assert ends(container, "first") is not None


UNSENT = "What you sent last changed nothing."


def end_session(container: "ConsoleContainer", token: str) -> None:
    session = container.sessions.find(token)
    assert session is not None
    container.sessions.end(session)


def test_a_form_that_comes_after_its_session_is_told_to_have_changed_nothing(
    ada: Client, container: "ConsoleContainer", store: Store, issue: Issue
) -> None:
    store("first")
    token = {"form_token": ada.get("review/first").form_token}
    end_session(container, next(iter(ada.cookies.values())))
    before = dict(ada.cookies)
    ada.get("review/first")
    assert (ada.status, "Signed out" in ada.text, UNSENT in ada.text) == (401, True, False)
    ada.post("review/first/ahead", token, Quorum_Background="1", HX_Request="true")
    ada.post("sign-out", token)
    assert (UNSENT in ada.text, ada.cookies) == (False, before)
    ada.post("review/first/decide", token | {"decision": "safe"}, HX_Request="true")
    assert (ada.status, ada.header("HX-Refresh"), UNSENT in ada.text) == (401, "true", True)
    # The browser loads the page anew, and asks in vain for a key once.
    assert UNSENT in ada.get("review/second").text
    assert UNSENT in ada.post("sign-in", {"key": "qk_unknown"}).text
    ada.sign_in(issue())
    assert list(ada.cookies) == list(before)
    assert container.verdicts.get("acme", "first").review is None


@needs_browser
def test_a_session_that_ends_under_the_page_that_was_kept_says_that_the_decision_was_not_stored(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        cookies = {one.get("name"): one.get("value") for one in page.context.cookies()}
        end_session(container, str(cookies[LOCAL_COOKIE]))
        press(page, "s", "Enter")
        page.locator("[name=key]").wait_for()
        assert UNSENT in page.locator("main").inner_text()
    assert container.verdicts.get("acme", "first").review is None


@needs_browser
def test_signing_out_in_a_browser_holds_no_content(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    names = ("first", "second", "third")
    for minutes, name in enumerate(reversed(names)):
        store(name, minutes)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        press(page, "s", "Enter")
        page.wait_for_selector("[data-undo]")
        shown(page)
        wait_for_next(page)
        assert all(ends(container, name) for name in names[1:])
        page.get_by_text("Signed in as").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.locator("[name=key]").wait_for()
    assert [ends(container, name) for name in names[1:]] == [None, None]


@needs_browser
def test_the_next_content_is_there_before_its_decision_is_answered(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    for minutes, name in enumerate(("third", "second", "first")):
        store(name, minutes)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        assert shown(page) == "the text of first"
        wait_for_next(page)
        assert "the text of second" not in page.content()
        held: list[Route] = []
        page.route(re.compile("/decide$"), lambda one: held.append(one))  # noqa: PLW0108 playwright marks it
        asked: list[str] = []

        def noted(one: Request) -> None:
            if one.resource_type in {"document", "fetch", "xhr"}:
                asked.append(f"{one.method} {one.url.rpartition('/')[2]}")

        page.on("request", noted)
        press(page, "s", "Enter")
        page.wait_for_url(re.compile("/review/second"))
        page.wait_for_selector(".veil")
        assert page.evaluate("document.activeElement.id") == "content-title"
        assert page.locator("#told").inner_text().startswith("Next content: severity Low")
        assert asked == ["POST decide"]
        assert page.locator("[data-undo]").count() == 0
        assert shown(page) == "the text of second"  # while the decision is on its way
        held[0].continue_()
        page.wait_for_selector("[data-undo]")
        assert page.locator("#told").inner_text() == "Decided: Safe"
        assert page.locator(".words").inner_text() == "the text of second"
        assert "1 decided" in page.locator(".head").inner_text()
        held_until = ends(container, "second")
        assert held_until is not None
        assert held_until[1] > CLAIM_SECONDS - 60
        wait_for_next(page)
        page.click("nav a[href$=verdicts]")
        page.wait_for_selector("h1:text('Verdicts')")
        page.wait_for_load_state("networkidle")
    assert ends(container, "third") is None  # it was given back
    review = container.verdicts.get("acme", "first").review
    assert review is not None
    assert review.decision == "safe"


SETTLED_WHEN_FAILED = """() => new MutationObserver(() => {
    const { dataset } = document.documentElement;
    dataset.then ??= "settled" in dataset;
}).observe(document.querySelector("#failed"), { attributes: true })"""


@needs_browser
@pytest.mark.parametrize("answer", ["none", "refusal"])
def test_a_decision_that_is_not_stored_is_not_passed_over(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    answer: str,
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        page.fill("#decision [name=note]", "a note")
        page.keyboard.press("Escape")
        held: list[Route] = []
        if answer == "none":
            page.route("**/decide", lambda one: held.append(one))  # noqa: PLW0108 playwright marks it
        else:
            token = page.locator("[name=form_token]").first.get_attribute("value")
            page.request.post(
                f"{address}/review/first/skip",
                form={"form_token": token or "", "reason": "other"},
                headers={"Sec-Fetch-Site": "same-origin"},
            )
        press(page, "s", "Enter")
        if answer == "none":
            page.wait_for_url("**/review/second*")
            settle(page)
            page.evaluate(SETTLED_WHEN_FAILED)
            held[0].fulfill(status=408, json={"message": "x"})
            page.locator("#failed").wait_for()
            # A key that was meant for the page that went decides nothing on the one that came back.
            assert page.evaluate("document.documentElement.dataset.then") == "false"
            assert page.evaluate("document.activeElement.id") == "content-title"
            assert page.locator(".look [name=place]").get_attribute("value") == "review/first"
            assert page.url == f"{address}/review/first?order=oldest"
            assert page.locator("#decision [name=note]").input_value() == "a note"
            assert page.locator(".words").inner_text() == "the text of first"
        else:
            page.locator(".empty[role=alert]").wait_for()
            assert "What you sent last changed nothing." in page.locator("main").inner_text()
            assert page.locator("#content").count() == 0
    assert container.verdicts.get("acme", "first").review is None


@needs_browser
def test_a_next_content_that_nobody_takes_is_claimed_no_longer_than_its_short_time(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    moving: Clock,  # noqa: F811 the fixture
) -> None:
    store("first", 2)
    store("second", 1)

    def without_an_end(page: Page) -> None:
        page.route("**/give-back", lambda one: one.abort())  # as a browser that was switched off

    with visitor(browser, address, issue()) as ada, visitor(browser, address, issue("grace")) as to:
        without_an_end(ada)
        ada.goto(f"{address}/review/first?order=oldest")
        shown(ada)
        wait_for_next(ada)
        to.goto(f"{address}/review/second")
        to.get_by_text("Held by another reviewer").wait_for()
        moving.now += AHEAD_SECONDS + 1
        to.goto(f"{address}/review/second")
        assert shown(to) == "the text of second"
        press(ada, "s", "Enter")  # the server knows better than the page
        ada.get_by_text("All held by other reviewers").wait_for()


@needs_browser
def test_work_extends_a_claim_and_an_idle_page_does_not(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
    moving: Clock,  # noqa: F811 the fixture
) -> None:
    store("first")
    with visitor(browser, address, issue()) as page:
        page.clock.install()
        page.goto(f"{address}/review/first")
        asked: list[str] = []
        page.on("request", lambda one: asked.append(one.resource_type))

        def go_on(seconds: int) -> None:
            moving.now += seconds
            page.clock.run_for(1000 * seconds)

        go_on(241)
        assert "xhr" not in asked
        page.keyboard.press("j")
        with page.expect_response(re.compile("/first$")):
            go_on(120)
        go_on(360)
        assert asked.count("xhr") == 1
        held = ends(container, "first")
        assert held is not None
        assert held[1] < CLAIM_SECONDS - 300
        go_on(125)
        page.locator("#lease-soon").wait_for()  # and the first key extends it at once
        with page.expect_response(re.compile("/first$")):
            page.keyboard.press("j")
        page.locator("#lease-soon").wait_for(state="hidden")
        held = ends(container, "first")
        assert held is not None
        assert held[1] > CLAIM_SECONDS - 60


@needs_browser
def test_a_page_that_is_left_gives_the_next_content_back(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        assert ends(container, "second") is not None
        page.goto("about:blank")
        for _ in range(100):
            if ends(container, "second") is None:
                break
            page.wait_for_timeout(20)
    assert ends(container, "second") is None
    assert ends(container, "first") is not None


@needs_browser
def test_what_is_asked_for_while_a_decision_is_on_its_way_comes_after_its_answer(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        held: list[Route] = []
        page.route("**/decide", lambda one: held.append(one))  # noqa: PLW0108 playwright marks it
        press(page, "s", "Enter")
        page.wait_for_url("**/review/second*")
        # The page was claimed for a short time, and the answer claims it for longer: no warning.
        settle(page)
        assert page.locator("#lease-soon").is_hidden()
        assert page.locator(".look [name=place]").get_attribute("value") == "review/second"
        page.click("nav a[href$=verdicts]")  # does not end the request of the decision
        leaving = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"
        assert page.evaluate(leaving)  # the browser asks first
        held[0].continue_()
        page.wait_for_selector("h1:text('Verdicts')")
        assert not page.evaluate(leaving)
        review = container.verdicts.get("acme", "first").review
        assert review is not None
        assert review.decision == "safe"


@needs_browser
def test_a_decision_that_is_sent_before_the_one_before_is_answered_follows_it(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest")
        shown(page)
        wait_for_next(page)
        held: list[Route] = []
        page.route("**/decide", lambda one: held.append(one))  # noqa: PLW0108 playwright marks it
        press(page, "s", "Enter")
        page.wait_for_url("**/review/second*")
        assert shown(page) == "the text of second"
        press(page, "u", "1", "Enter", "Enter")
        assert len(held) == 1
        with page.expect_request("**/second/decide"):
            held[0].continue_()
        while len(held) == 1:
            page.wait_for_timeout(20)
        held[1].continue_()
        page.wait_for_selector(".empty")
        assert page.locator("[data-undo]").inner_text().startswith("Decided: Unsafe")
    reviews = [container.verdicts.get("acme", name).review for name in ("first", "second")]
    assert [str(one.decision) for one in reviews if one] == ["safe", "unsafe"]


@needs_browser
def test_going_back_from_a_page_that_was_kept_asks_the_server(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
) -> None:
    store("first", 2)
    store("second", 1)
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/review/first?order=oldest&show=1")
        wait_for_next(page)
        press(page, "s", "Enter")
        page.wait_for_selector("[data-undo]")
        page.go_back()
        page.get_by_text("Already decided").wait_for()
        assert page.locator("#content").count() == 0
