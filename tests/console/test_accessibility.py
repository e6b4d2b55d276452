"""What screen readers are given, and every page at 200 % zoom."""

import re
from itertools import pairwise
from typing import TYPE_CHECKING

from playwright.sync_api import Browser, Page, expect

from tests.console.conftest import Issue, Store
from tests.console.test_ahead import wait_for_next
from tests.console.test_browser import (  # noqa: F401 shared
    address,
    browser,
    every_page,
    press,
    pytestmark,
    shown,
    visitor,
)

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer

NAMELESS = re.compile(
    r"^\s*- (?:button|textbox|combobox|checkbox|radio|link|img|navigation|region)(?::|$| \[)",
    re.MULTILINE,
)
COVERED = """() => {
  const covered = [];
  for (const one of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) {
    if (!one.checkVisibility() || one.closest("dialog") || one.disabled || one.type === "hidden") continue;
    one.focus();
    if (document.activeElement !== one) continue;
    const box = one.getBoundingClientRect();
    const [left, right] = [Math.max(0, box.left), Math.min(innerWidth, box.right)];
    const [top, bottom] = [Math.max(0, box.top), Math.min(innerHeight, box.bottom)];
    const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    if (right <= left || bottom <= top || !at || !(one.contains(at) || at.contains(one)))
      covered.push(one.outerHTML.slice(0, 120));
  }
  return covered;
}"""  # noqa: E501 a program for the browser
"""What can have the focus and is then out of sight, or under something else."""


def headings(snapshot: str) -> list[int]:
    """The levels of a page's headings, in their order."""
    return [int(level) for level in re.findall(r"- heading .*\[level=(\d)\]", snapshot)]


def told(page: Page) -> str:
    """The page as a screen reader is given it; its rules hold for every page."""
    snapshot = page.locator("body").aria_snapshot()
    levels = headings(snapshot)
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert snapshot.count("- main") == 1
    assert NAMELESS.findall(snapshot) == []
    return snapshot


def test_screen_readers_are_told_what_is_there_what_was_decided_and_what_comes(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
) -> None:
    for minutes, name in enumerate(("third", "second", "first")):
        store(name, minutes, scores={"hate": 0.9}, language="en")
    with visitor(browser, address, issue()) as page:
        page.goto(f"{address}/try")
        told(page)
        expect(page.locator("body")).to_match_aria_snapshot("""
          - link "Skip to the content"
          - navigation "Pages":
            - list
          - main:
            - heading "Try" [level=1]
            - textbox "Text"
            - combobox "Panel"
            - combobox "Policy"
            - button "Judge"
        """)
        page.goto(f"{address}/review/first?order=oldest")
        assert "the text of first" not in told(page)
        expect(page.locator("main")).to_match_aria_snapshot("""
          - main:
            - heading "Item" [level=1]
            - region "17 characters · en":
              - heading "17 characters · en" [level=2]
              - link "Show text R"
            - group "Decision":
              - heading "Decision" [level=2]
              - radio "Safe S" [disabled]
              - radio "Unsafe U" [disabled]
              - group "Categories"
              - textbox "Internal note" [disabled]
              - button "Submit & next Enter" [disabled]
            - button "Stop and give back B"
        """)
        shown(page)
        wait_for_next(page)
        press(page, "u", "Enter")
        expect(page.locator("#told")).to_have_text("Decided: Unsafe")
        expect(page.locator("body")).to_match_aria_snapshot('- status: "Decided: Unsafe"')
        assert page.evaluate("document.activeElement.id") == "content-title"
        assert "the text of second" not in told(page)
        press(page, "r")
        page.wait_for_selector(".words")
        live = page.locator("[role=status], [role=alert]").all_inner_texts()
        assert "the text of" not in "".join(live)
        page.goto(f"{address}/verdicts/first")
        told(page)
        expect(page.locator("main")).to_match_aria_snapshot("""
          - main:
            - heading "Verdict" [level=1]
            - heading "Why it stopped" [level=2]
            - img /Score/
            - region "Votes":
              - table "Votes"
        """)


def test_at_twice_the_size_nothing_scrolls_sideways_or_covers_what_has_the_focus(
    browser: Browser,  # noqa: F811 the fixture
    address: str,  # noqa: F811 the fixture
    issue: Issue,
    store: Store,
    container: "ConsoleContainer",
) -> None:
    # A window of 1280 × 800 at 200 %: half as many pixels of the page, each twice as large.
    zoomed = {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2}
    with visitor(browser, address, issue(), **zoomed) as page:
        for place in every_page(store, container):
            page.goto(f"{address}/{place}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 640, place
            assert page.evaluate(COVERED) == [], place
