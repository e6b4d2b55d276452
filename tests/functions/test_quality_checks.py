"""The quality sample in the reviewers' queue: what panels decided, for a person to decide again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from quorum.vote.quality_sample import QualitySample

from functions.api import app as api
from tests.functions import test_review_queue
from tests.functions.conftest import Ask, reopen
from tests.functions.test_review_queue import Decide, Send, Store, Take, ids, unsafe

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

# Fixtures that these tests share with those of the queue.
decide = test_review_queue.decide
queue = test_review_queue.queue
send = test_review_queue.send
store = test_review_queue.store
take = test_review_queue.take


@pytest.fixture
def sampling(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A deployment in which a person decides again all that panels decide."""
    monkeypatch.setenv("QUALITY_SAMPLE_SHARE", "1")
    reopen(api)
    yield
    monkeypatch.undo()
    reopen(api)


def test_what_a_panel_decided_waits_as_a_check_and_looks_like_what_it_left_open(
    sampling: None, store: Store, queue: Send
) -> None:
    store("decided", 2, said="safe")
    store("open", 1)
    one, other = queue()[1]["reviews"]
    assert [one["verdict_id"], other["verdict_id"]] == ["decided", "open"]
    assert one["content"] == "a text decided"
    assert one["origin"] == other["origin"] == "undecided"
    assert one.keys() == other.keys()
    assert not {"decision", "score", "votes", "reason", "sampled", "weight"} & one.keys()


def test_a_check_is_a_label_that_stands_for_the_verdicts_that_were_not_drawn(
    ask: Ask, store: Store, take: Take, decide: Decide
) -> None:
    container: ApiContainer = api.app()
    container.verdicts._sample_of = lambda _tenant, _verdict: QualitySample(share=0.5)  # noqa: SLF001 the setting
    for number in range(40):
        store(f"v{number}", number, said="safe")
    drawn = take(count=10)
    waiting_now = container.waiting.counts("acme").waiting
    assert 8 < waiting_now < 32
    decide("ada", *(unsafe(name) for name in drawn))
    labels = ask(name="get_labels.json")[1]["labels"]
    assert {label["weight"] for label in labels} == {2.0}
    assert {label["verdict"]["decision"] for label in labels} == {"safe"}


def test_copies_of_a_content_that_are_drawn_add_to_the_weight_of_its_label(
    sampling: None, store: Store, take: Take, decide: Decide, ask: Ask
) -> None:
    for number in range(3):
        store(f"v{number}", 10 - number, said="safe", text="the same")
    store("left-open", 1, text="the same")
    assert take() == ["v0"]
    decide("ada", unsafe("v0"))
    (label,) = ask(name="get_labels.json")[1]["labels"]
    assert (label["count"], label["weight"]) == (4, 4.0)


def test_a_policy_says_how_much_of_its_verdicts_is_checked(
    ask: Ask, store: Store, queue: Send
) -> None:
    document = {"quality_sample": {"share": 0.0, "categories": {"hate": 1.0}}}
    address = {"path": "/policies/strict", "pathParameters": {"name": "strict"}}
    status, put = ask(document, name="put_policy.json", **address)
    assert status == 200, put
    under = {"policy": "strict", "policy_version": put["version"]}
    store("hateful", 2, said="unsafe", scores={"hate": 0.9}, **under)
    store("rude", 1, said="unsafe", scores={"harassment": 0.9}, **under)
    assert ids(queue()) == ["hateful"]


def test_without_a_setting_nothing_is_checked(store: Store, queue: Send) -> None:
    for number in range(20):
        store(f"v{number}", number, said="safe")
    assert ids(queue()) == []
