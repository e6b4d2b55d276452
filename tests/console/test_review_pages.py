"""The reviewers' pages: claims, decisions, undo, and what a reviewer sees where there is none."""

import json
from time import time
from typing import TYPE_CHECKING, Any

import pytest
from quorum.aws.sessions import PAUSE_SECONDS, Sessions
from quorum.console.pages.review import BREAK_MINUTES, NOTHING
from quorum.core.errors import StoreUnavailable
from quorum.review.claims import Claims

from functions.console import app as console
from tests.clock import Clock
from tests.console.conftest import BATCH, Client, Issue, Store

if TYPE_CHECKING:
    from quorum.app.console import ConsoleContainer


@pytest.fixture
def moving(container: "ConsoleContainer", clock: Clock) -> Clock:
    """The clock of the function, for the test to move."""
    clock.now = time()  # a review is made at the time of the machine's own clock
    container.clock = clock
    return clock


@pytest.fixture
def grace(ada: Client, issue: Issue) -> Client:
    """A second reviewer."""
    other = Client(console.handler, ada._context)  # noqa: SLF001 the same one
    return other.sign_in(issue("grace"))


def fail_store(*_given: Any, **_more: Any) -> Any:
    raise StoreUnavailable("a throttle")


def test_a_content_is_not_in_the_page_before_it_is_asked_for(ada: Client, store: Store) -> None:
    store("verdict-1")
    ada.post("review/begin")
    assert ada.place == "/console/review/verdict-1"
    assert "the text of verdict-1" not in ada.body
    assert '<fieldset id="decision" disabled>' in ada.body
    ada.get("review/verdict-1?show=1")
    assert "the text of verdict-1" in ada.body
    assert "disabled" not in ada.body


@pytest.mark.parametrize(("undo", "offered"), [("verdict-0", True), ("../../keys", False)])
def test_an_address_steers_no_form_to_another_place(
    ada: Client,
    store: Store,
    undo: str,
    offered: bool,
) -> None:
    store("verdict-1")
    ada.post("review/begin")
    ada.get(f"review/verdict-1?undo={undo}&said=safe")
    assert (f"{undo}/undo" in ada.body) is offered


def test_a_decision_is_stored_and_the_next_content_follows(
    ada: Client, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1", minutes=2)
    store("verdict-2", minutes=1)
    ada.post("review/begin", {"queue_order": "oldest"})
    form = {"decision": "unsafe", "category": ["hate", "harassment"], "note": "a note"}
    ada.post("review/verdict-1/decide", form | {"queue_order": "oldest"})
    assert ada.place.startswith("/console/review/verdict-2?order=oldest")
    assert "Decided: Unsafe" in ada.text
    review = container.verdicts.get("acme", "verdict-1").review
    assert review is not None
    assert (review.reviewer, review.categories) == ("ada", ("hate", "harassment"))
    ada.post("review/verdict-2/decide", {"decision": "safe", "category": ["hate"]})
    assert "Nothing to review" in ada.text
    second = container.verdicts.get("acme", "verdict-2").review
    assert second is not None
    assert second.categories == ()


def test_a_form_may_be_answered_with_the_page_that_it_leads_to(
    ada: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    for minutes, name in enumerate(("three", "two", "one")):
        store(name, minutes)
    ada.post("review/begin", {"queue_order": "oldest"}, HX_Request="true")
    assert (ada.status, ada.place) == (200, "/console/review/begin")
    assert ada.header("Content-Location") == "../review/one?order=oldest"
    # Its links hold at the place that it is of.
    ada.place = ada.address(ada.header("Content-Location"))
    assert 'action="../review/one/decide"' in ada.body
    ada.post("review/one/decide", {"decision": "safe", "queue_order": "oldest"}, HX_Request="true")
    assert "1 decided" in ada.text
    assert "review/two/decide" in ada.body
    # What cannot be shown is asked for again, and the decision is no error.
    monkeypatch.setattr(Claims, "take", fail_store)
    ada.send(
        "POST",
        "/console/review/two/decide",
        {"form_token": ada.form_token, "decision": "safe", "queue_order": "oldest"},
        HX_Request="true",
    )
    assert ada.status == 303


def test_two_reviewers_never_hold_the_same_content(
    ada: Client, grace: Client, store: Store
) -> None:
    store("verdict-1")
    ada.post("review/begin")
    grace.post("review/begin")
    assert "All held by other reviewers" in grace.text
    assert grace.get("review/verdict-1").status == 409
    assert "Held by another reviewer" in grace.text
    assert grace.post("review/verdict-1/decide", {"decision": "safe"}).status == 409
    assert grace.post("review/verdict-1/undo").status == 409


def test_a_decision_can_be_taken_back_for_a_while(
    moving: Clock, ada: Client, store: Store, container: "ConsoleContainer"
) -> None:
    store("verdict-1")
    ada.post("review/begin")
    ada.post("review/verdict-1/decide", {"decision": "safe"})
    ada.post("review/verdict-1/undo")
    assert ada.place == "/console/review/verdict-1"
    taken_back = container.verdicts.get("acme", "verdict-1").review
    assert taken_back is not None
    assert taken_back.decision == "needs_review"
    ada.post("review/verdict-1/decide", {"decision": "unsafe"})
    moving.now += 60
    assert ada.post("review/verdict-1/undo").status == 409
    assert "Too late to undo" in ada.text


def test_what_is_skipped_or_passed_on_is_left_to_others(
    ada: Client, grace: Client, store: Store
) -> None:
    store("verdict-1", minutes=2)
    store("verdict-2", minutes=1)
    ada.post("review/begin")
    ada.post("review/verdict-1/skip", {"reason": "too_disturbing"})
    assert ada.place == "/console/review/verdict-2"
    ada.post("review/verdict-2/escalate", {"note": "please look"})
    assert "somebody else" in ada.text
    grace.get("review/verdict-2")
    assert "please look" in grace.text
    grace.post("review/verdict-2/release")
    assert grace.place == "/console/review"
    assert ada.get("review/verdict-1").status == 409


def test_a_claim_that_expired_says_so(moving: Clock, ada: Client, store: Store) -> None:
    store("verdict-1")
    ada.post("review/begin")
    moving.now += 601
    assert ada.post("review/verdict-1/decide", {"decision": "safe"}).status == 409
    assert "Your hold expired" in ada.text


def test_a_wrong_decision_is_refused_by_name(ada: Client, store: Store) -> None:
    store("verdict-1")
    ada.post("review/begin")
    for form in ({"decision": "maybe"}, {"decision": "unsafe", "category": ["<b>"]}, {}):
        assert ada.post("review/verdict-1/decide", form).status == 400
        assert "decisions" in ada.text


def test_a_break_is_suggested_after_a_long_time_and_begins_it_anew(
    moving: Clock, ada: Client, store: Store
) -> None:
    for number in range(8):
        store(f"verdict-{number}", minutes=10 - number)
    ada.post("review/begin")
    for number in range(7):
        assert "Take a break" not in ada.text
        ada.post(f"review/verdict-{number}/decide", {"decision": "safe"})
        moving.now += PAUSE_SECONDS - 60
    assert moving.now
    ada.get("review")
    assert "Take a break" in ada.text
    ada.post("review/rest")
    assert "Take a break" not in ada.text
    assert BREAK_MINUTES < 7 * (PAUSE_SECONDS - 60) / 60


def test_the_queue_is_filtered_and_says_who_holds_what(
    ada: Client, grace: Client, store: Store
) -> None:
    store("verdict-1", scores={"hate/threatening": 0.9}, language="ko")
    store("verdict-2", language="en")
    grace.get("review/verdict-1")
    ada.get("review?language=ko")
    assert "review/verdict-1" in ada.body
    assert "review/verdict-2" not in ada.body
    assert "Critical" in ada.text
    assert "grace" in ada.text


def test_the_queue_is_filtered_by_policy_panel_and_batch_with_counts_and_ages(
    ada: Client, store: Store
) -> None:
    store("verdict-1", minutes=47, scores={"hate": 0.9})
    store("verdict-2", minutes=150, panel="economy", policy="gaming")
    ada.get("review")
    for counted in ("default (1)", "gaming (1)", "economy (1)", "Hate (1)", "High (1)"):
        assert counted in ada.text
    assert "47 min" in ada.text
    assert "2 h" in ada.text
    for query in ("policy=gaming", "panel=economy"):
        ada.get(f"review?{query}")
        assert "review/verdict-2" in ada.body
        assert "review/verdict-1" not in ada.body
    ada.get(f"review?batch={BATCH}")
    assert ("Nothing to review" in ada.text, f'value="{BATCH}"' in ada.body) == (True, True)
    ada.post("review/begin", {"queue_policy": "gaming", "queue_panel": "economy"})
    assert ada.place == "/console/review/verdict-2?policy=gaming&panel=economy"
    assert ada.get("review?batch=none").status == 400


def test_where_nothing_is_left_the_page_can_be_loaded_anew_and_the_decision_taken_back(
    ada: Client, store: Store
) -> None:
    store("one")
    ada.get("review/one").post("review/one/decide", {"decision": "safe"})
    assert ada.place.startswith(f"/console/{NOTHING}?")
    shown = ada.get(ada.place.removeprefix("/console/"))
    assert (shown.status, "review/one/undo" in shown.body) == (200, True)
    assert "/x/undo" not in ada.get(f"{NOTHING}?undo=../../x&said=safe&free_at=<b>").body


@pytest.mark.parametrize("operation", ["counter", "next"])
def test_a_decision_that_is_stored_shows_no_error_whatever_fails_afterwards(
    ada: Client, store: Store, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    store("one")
    store("two")
    ada.get("review/one")

    if operation == "counter":
        monkeypatch.setattr(Sessions, "_update", fail_store)
    else:
        monkeypatch.setattr(Claims, "take_next", fail_store)
    ada.post("review/one/decide", {"decision": "safe"})
    assert ada.status == 200, ada.text
    assert (
        ada.place.partition("?")[0]
        == {
            "counter": "/console/review/two",
            "next": "/console/review",
        }[operation]
    )


def test_a_content_that_newer_code_stored_holds_up_no_other(
    container: "ConsoleContainer", ada: Client, store: Store
) -> None:
    for minutes, name in enumerate(("last", "newer", "first")):
        store(name, minutes)
    table = container.dynamodb.Table("VerdictsTable")
    item = table.get_item(Key={"id": "verdict#acme#newer"})["Item"]
    document = json.loads(str(item["verdict"])) | {"decision": "of_newer_code"}
    table.put_item(Item=item | {"verdict": json.dumps(document)})
    for name in ("first", "last"):
        assert ada.get("review").status == 200
        ada.post("review/begin", {"queue_order": "oldest"})
        assert ada.place.startswith(f"/console/review/{name}")
        ada.post(f"review/{name}/decide", {"decision": "safe", "queue_order": "oldest"})
    assert ada.place.startswith(f"/console/{NOTHING}")
