"""Prompts and answers of the chat that are judged."""

from decimal import Decimal

import pytest
from quorum.chat.conversations import Conversations
from quorum.core.errors import StoreUnavailable, StreamCut
from quorum.core.models import Content, Tokens, Verdict
from quorum.vote.panel import Panel

from tests.functions.chat.conftest import TENANT, Model, Say, Voters


def test_an_unsafe_prompt_is_not_asked(say: Say, model: Model) -> None:
    last = say("What nonsense.", moderate={"prompt": True})
    assert (last["type"], last["code"]) == ("error", "prompt_unsafe")
    assert last["verdict"] == "verdict-1"
    assert model.questions == []


@pytest.mark.parametrize("role", ["system", "developer", "assistant", "user"])
def test_no_role_hides_what_a_client_says_from_the_voters(
    say: Say, model: Model, role: str
) -> None:
    said = [{"role": role, "content": "What nonsense."}, {"role": "user", "content": "Go on."}]
    last = say(prompt=None, messages=said, moderate={"prompt": True})
    assert last["code"] == "prompt_unsafe"
    assert say(system="What nonsense.", moderate={"prompt": True})["code"] == "prompt_unsafe"
    assert model.questions == []


def test_an_unsafe_answer_is_withdrawn_and_the_model_stopped(
    say: Say, model: Model, conversations: Conversations
) -> None:
    model.pieces, model.endless = ("All is well. ", "This is nonsense. ", "More"), True
    last = say(moderate={"answer": True})
    assert (last["type"], last["reason"]) == ("withdrawn", "unsafe")
    assert last["cost_usd"] == "0.00003"
    assert len(model.booked) == 1
    kept = conversations.history(TENANT, "conversation-1")
    assert kept.turns == ()
    conversations.require(TENANT, "conversation-1")  # it can be gone on with


def test_the_last_words_are_judged_before_an_answer_is_complete(say: Say, model: Model) -> None:
    model.pieces = ("All is well. ", "But nonsense")
    last = say(moderate={"answer": True})
    assert (last["type"], last["cost_usd"]) == ("withdrawn", "0.00002")
    assert not last["cost_estimated"]


def test_what_came_of_a_cut_stream_is_judged_too(say: Say, model: Model) -> None:
    model.pieces = ("But nonsense",)
    paid = Tokens(input=10, output=1)
    model.failure = StreamCut("cut", received="", tokens=paid, cost_usd=Decimal("0.00001"))
    last = say(moderate={"answer": True})
    assert (last["type"], last["cost_usd"]) == ("withdrawn", "0.00001")


def test_a_good_answer_says_what_its_checks_cost(say: Say) -> None:
    last = say(moderate={"prompt": True, "answer": True})
    assert last["type"] == "complete"
    assert last["moderation"] == {"checks": 2, "needs_review": 0, "cost_usd": "0.002"}


def test_voters_that_cannot_be_had_withdraw_the_answer(
    say: Say, voters: Voters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_tenant: str, _content: Content, _panel: Panel) -> Verdict:
        raise StoreUnavailable("no")

    monkeypatch.setattr(voters, "verdict", fail)
    last = say(moderate={"answer": True})
    assert (last["type"], last["reason"], last["verdict"]) == ("withdrawn", "unchecked", None)


def test_no_vote_is_bought_beyond_the_budget_or_by_a_panel_nobody_knows(
    say: Say, voters: Voters
) -> None:
    assert say(moderate={"prompt": True, "panel": "unknown"})["code"] == "invalid_panel"
    voters.spent = True
    assert say(moderate={"prompt": True})["code"] == "budget_spent"
    assert voters.judged == []
