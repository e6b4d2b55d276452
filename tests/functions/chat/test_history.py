"""Conversations: the turns that are stored, and how many of them a model gets."""

from typing import Any

import pytest
from quorum.chat.conversations import TURNS_LOOKED_AT, Conversations, Turn
from quorum.chat.conversing import fitting
from quorum.core import registry
from quorum.core.errors import NotFound, StoreUnavailable

from tests.clock import Clock
from tests.functions.chat.conftest import TENANT, Model, Say


def asked_of(model: Model) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in model.questions[-1].messages]


def test_a_conversation_goes_on_where_it_was(say: Say, model: Model, clock: Clock) -> None:
    say("One?", system="Be kind.")
    clock.now += 1
    last = say("Two?", conversation="conversation-1")
    assert asked_of(model) == [
        ("system", "Be kind."),
        ("user", "One?"),
        ("assistant", "Hello there."),
        ("user", "Two?"),
    ]
    assert last["dropped_turns"] == 0


def test_the_oldest_turns_are_dropped_when_they_no_longer_fit(
    say: Say, model: Model, clock: Clock
) -> None:
    last = say("word " * 100)
    for _ in range(9):
        clock.now += 1
        last = say("word " * 100, conversation="conversation-1", build={"history_tokens": 500})
    assert last["dropped_turns"] == 6
    assert len(asked_of(model)) == 2 * 3 + 1


def test_turns_that_fit_are_the_latest_in_their_order() -> None:
    turns = [Turn(prompt=f"{number}?", answer="x" * 350) for number in range(5)]
    nano = registry.model("gpt-4.1-nano")
    assert fitting(turns, nano, 10_000) == turns
    assert fitting(turns, nano, 250) == turns[-2:]
    assert fitting(turns, nano, -1) == []


def test_a_conversation_is_forgotten_in_time(conversations: Conversations, clock: Clock) -> None:
    turn = Turn(prompt="One?", answer="One.")
    conversations.keep(TENANT, "conversation-1", "request-1", turn, system="Be kind.")
    clock.now += 3_000
    conversations.keep(TENANT, "conversation-1", "request-2", turn, system=None)
    clock.now += 1_000
    kept = conversations.history(TENANT, "conversation-1")
    assert (kept.system, kept.turns, kept.total) == ("Be kind.", (turn,), 2)
    clock.now += 3_000
    with pytest.raises(NotFound):
        conversations.require(TENANT, "conversation-1")


def test_a_conversation_is_its_tenants_own(conversations: Conversations) -> None:
    turn = Turn(prompt="One?", answer="One.")
    conversations.keep(TENANT, "conversation-1", "request-1", turn, system=None)
    with pytest.raises(NotFound):
        conversations.require("another", "conversation-1")
    assert conversations.history("another", "conversation-1").turns == ()


def test_only_the_latest_turns_are_looked_at_and_none_that_is_too_long_is_kept(
    conversations: Conversations, clock: Clock
) -> None:
    for number in range(TURNS_LOOKED_AT + 3):
        clock.now += 1
        turn = Turn(prompt=str(number), answer="x")
        assert conversations.keep(TENANT, "long", f"request-{number}", turn, system=None)
    kept = conversations.history(TENANT, "long")
    assert kept.total == TURNS_LOOKED_AT + 3
    assert [turn.prompt for turn in kept.turns] == [str(n) for n in range(3, kept.total)]
    endless = Turn(prompt="x", answer="x" * 400_000)
    assert not conversations.keep(TENANT, "long", "another", endless, system=None)


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    say: Say, conversations: Conversations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_given: Any, **_named: Any) -> bool:
        raise StoreUnavailable("no")

    monkeypatch.setattr(conversations, "keep", fail)
    last = say()
    assert (last["type"], last["kept"]) == ("complete", False)
