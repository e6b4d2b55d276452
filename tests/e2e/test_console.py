"""The console on the deployed stack: a reviewer signs in, tries a text and decides what waits."""

import re
from collections.abc import Iterator

import httpx
import pytest
from quorum.aws.keys import Caller
from quorum.console.site import NAVIGATION

from local.state import Stack
from tests.e2e.conftest import Api, Recorded, says

TENANT = "desk"


@pytest.fixture
def browser(stack: Stack) -> Iterator[httpx.Client]:
    """A browser in which a reviewer is signed in."""
    key = stack.new_key(Caller(tenant=TENANT, name="ada", role="operator"))
    with httpx.Client(
        base_url=f"{stack.api}/console/",
        headers={"Sec-Fetch-Site": "same-origin", "Accept-Language": "en"},
        follow_redirects=True,
        timeout=60,
    ) as opened:
        answer = opened.post("sign-in", data={"key": key})
        assert (answer.status_code, "Signed in as ada" in answer.text) == (200, True)
        yield opened


def token(page: httpx.Response) -> str:
    """The token of the forms of a page."""
    found = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert found is not None, page.text
    return found[1]


def test_every_page_opens_with_the_rights_that_the_function_has(browser: httpx.Client) -> None:
    for entry in NAVIGATION:
        page = browser.get(entry.path)
        assert (page.status_code, entry.path) == (200, entry.path), page.text
        for asset in re.findall(r'="([^"]+\.(?:css|js|svg))"', page.text):
            assert browser.get(str(page.url.join(asset))).status_code == 200, asset


def test_a_text_is_tried_and_another_that_waits_is_decided(
    browser: httpx.Client, stack: Stack, recorded: Recorded
) -> None:
    tried = browser.post(
        "try",
        data={
            "form_token": token(browser.get("try")),
            "content": says(recorded, "tried in the console"),
            "panel": "default",
        },
    )
    assert (tried.status_code, "gemini-2.5-flash" in tried.text) == (200, True), tried.text

    api = Api(stack, stack.new_key(Caller(tenant=TENANT, role="operator")))
    text = says(recorded, "waits in the console", gemini_2_5_flash="unsafe", gpt_4_1="needs_review")
    waiting = api.judge(text, panel="default")
    assert waiting["decision"] == "needs_review"
    begun = browser.post("review/begin", data={"form_token": token(browser.get("review"))})
    assert begun.status_code == 200, begun.text
    assert waiting["id"] in str(begun.url)
    decided = browser.post(
        f"review/{waiting['id']}/decide",
        data={"form_token": token(begun), "decision": "unsafe", "category": "harassment"},
    )
    assert decided.status_code == 200, decided.text
    review = api.get(f"verdicts/{waiting['id']}").json()["review"]
    assert (review["decision"], review["reviewer"]) == ("unsafe", "ada")
