"""One answer of the chat, from its question to its client."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from quorum.chat.chat import Asked, ChatRequest
from quorum.chat.conversations import ANSWERS_AT_ONCE, Conversations, Turn
from quorum.chat.conversing import Conversing
from quorum.core.errors import (
    BudgetSpent,
    ModelThrottled,
    ModelTimedOut,
    StoreUnavailable,
    StreamCut,
)
from quorum.core.models import Tokens
from quorum.gateway.deadline import Deadline

from tests.functions.chat.conftest import (
    CONNECTION,
    TENANT,
    Client,
    Message,
    Model,
    Say,
    Voters,
)


def test_an_answer_comes_as_tokens_and_then_whole_with_what_it_cost(
    say: Say, client: Client
) -> None:
    last = say()
    assert last["type"] == "complete"
    assert last["full_response"] == client.text == "Hello there."
    assert last["cost_usd"] == "0.00003"
    assert last["usage"] == {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    assert last["kept"]
    assert "moderation" not in last
    tokens = [message for message in client.messages if message["type"] == "token"]
    assert [token["index"] for token in tokens] == list(range(last["tokens_sent"]))
    assert {message["request_id"] for message in client.messages} == {"request-1"}


def test_what_a_client_calls_its_request_is_in_no_log(
    say: Say, model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    say()
    model.failure = ValueError("unforeseen")
    say()
    lines = [repr(vars(record)) for record in caplog.records]
    assert len(lines) == 3
    assert "request-" not in "".join(lines)
    digests = [sha256(f"request-{number}".encode()).hexdigest()[:16] for number in (1, 2, 2)]
    assert all(digest in line for digest, line in zip(digests, lines, strict=True))


@pytest.fixture
def twice(
    conversing: Callable[..., Conversing], conversations: Conversations
) -> Callable[..., None]:
    """Deliver one request twice, at the same time."""

    def deliver(**changes: Any) -> None:
        slot = conversations.open(CONNECTION, "once", 1)
        asked = Asked(
            connection=CONNECTION,
            tenant=TENANT,
            request_id="once",
            request=ChatRequest.model_validate({"prompt": "Hello?"} | changes),
            model="gpt-4.1-nano",
            slot=slot,
        )

        async def both() -> None:
            runs = (conversing().converse(asked, Deadline.after(20)) for _ in range(2))
            await asyncio.gather(*runs)

        asyncio.run(both())

    return deliver


def test_a_request_delivered_twice_is_answered_once(
    twice: Callable[..., None], client: Client, model: Model
) -> None:
    twice()
    assert len(model.questions) == 1
    assert [message["type"] for message in client.messages].count("complete") == 1


def test_a_prompt_delivered_twice_is_judged_once(
    twice: Callable[..., None], client: Client, voters: Voters
) -> None:
    twice(moderate={"prompt": True})
    assert voters.judged == ["Hello?"]
    assert client.last["type"] == "complete"


def test_an_error_that_comes_before_the_claim_is_told_once(
    twice: Callable[..., None], client: Client, model: Model
) -> None:
    model.refusal = BudgetSpent("spent", code="budget_spent", limit="midnight")
    twice()
    assert [message["code"] for message in client.messages] == ["budget_spent"]


def test_a_second_delivery_leaves_the_slot_to_the_first(
    twice: Callable[..., None],
    client: Client,
    conversations: Conversations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    closed: list[str] = []
    close = conversations.close

    def noted(connection: str, request_id: str, slot: int) -> None:
        closed.append(request_id)
        close(connection, request_id, slot)

    monkeypatch.setattr(conversations, "close", noted)
    twice()
    assert closed == ["once"]
    assert client.last["type"] == "complete"


def test_a_request_that_cannot_be_claimed_is_neither_asked_nor_judged(
    twice: Callable[..., None],
    client: Client,
    model: Model,
    voters: Voters,
    conversations: Conversations,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def down(_connection: str, _request_id: str) -> bool:
        raise StoreUnavailable("no")

    monkeypatch.setattr(conversations, "claim", down)
    with pytest.raises(StoreUnavailable):
        twice(moderate={"prompt": True})
    conversations.close(CONNECTION, "once", 0)
    assert (model.questions, voters.judged, client.messages) == ([], [], [])


def test_the_first_piece_is_sent_before_more_is_read(
    say: Say, client: Client, model: Model
) -> None:
    read: list[int] = []
    client.seen = lambda _message: read.append(model.taken)
    say()
    assert read[0] == 1
    assert client.messages[0]["content"] == "Hello"


def test_an_answers_slot_is_free_when_its_client_hears_of_the_end(
    say: Say, client: Client, conversations: Conversations
) -> None:
    for number in range(ANSWERS_AT_ONCE - 1):
        conversations.open(CONNECTION, f"under way {number}")
    slots: list[int] = []

    def again(message: Message) -> None:
        if message["type"] == "complete":
            slots.append(conversations.open(CONNECTION, "the next"))

    client.seen = again
    say()
    assert slots == [ANSWERS_AT_ONCE - 1]


def test_an_answer_that_fails_gives_its_slot_back(
    say: Say, model: Model, conversations: Conversations
) -> None:
    model.failure = ModelTimedOut("late")
    for number in range(ANSWERS_AT_ONCE - 1):
        conversations.open(CONNECTION, f"under way {number}")
    assert say()["type"] == "error"
    conversations.open(CONNECTION, "the next")


def test_cancel_stops_the_model_and_says_what_was_paid(
    say: Say, client: Client, model: Model, conversations: Conversations
) -> None:
    model.endless = True

    def cancel(_message: Message) -> None:
        assert conversations.cancel(CONNECTION, "request-1")

    client.seen = cancel
    last = say()
    assert last["type"] == "cancelled"
    assert last["cost_usd"] == "0.00003"
    assert last["cost_estimated"]
    assert len(model.booked) == 1
    # The client has seen it: the conversation goes on from there.
    turns = conversations.history(TENANT, "conversation-1").turns
    assert turns == (Turn(prompt="Hello?", answer="Hello there."),)


def test_a_request_cancelled_before_the_model_began_costs_nothing_that_is_known(
    say: Say, model: Model, conversations: Conversations
) -> None:
    model.pieces, model.endless = (), True
    conversations.open(CONNECTION, "request-0")
    open_ = conversations.open

    def open_and_cancel(connection: str, request_id: str, at_once: int = 3) -> int:
        slot = open_(connection, request_id, at_once)
        conversations.cancel(connection, request_id)
        return slot

    conversations.open = open_and_cancel  # type: ignore[method-assign] # a hasty client
    last = say()
    assert (last["type"], last["usage"]["completion_tokens"]) == ("cancelled", 0)


def test_a_disconnected_client_stops_the_model_and_what_was_paid_is_booked(
    say: Say, client: Client, model: Model, conversations: Conversations
) -> None:
    model.endless = True
    client.seen = lambda _message: conversations.disconnect(CONNECTION)
    assert say()["type"] == "token"  # nobody is told that it ended
    assert len(model.booked) == 1


def test_a_client_that_is_found_gone_stops_the_model(
    say: Say, client: Client, model: Model
) -> None:
    model.pieces = tuple("word " for _ in range(5_000))  # more than one message
    model.endless = True

    def leave(_message: Message) -> None:
        client.gone = True

    client.seen = leave
    say()
    assert len(model.booked) == 1
    assert len(client.messages) == 1


def test_a_slow_client_is_not_read_ahead_of(say: Say, client: Client, model: Model) -> None:
    model.pieces = tuple("x" * 10 for _ in range(100))
    ahead: list[int] = []

    def look(message: Message) -> None:
        if message["type"] == "token":
            ahead.append(10 * model.taken - len(client.text))

    client.seen = look
    last = say(build={"buffer": 50})
    assert last["full_response"] == client.text == "x" * 1_000
    assert max(ahead) <= 2 * 50 + 20


def test_a_stream_cut_says_so_after_what_had_come_with_what_was_paid(
    say: Say, client: Client, model: Model, conversations: Conversations
) -> None:
    model.failure = StreamCut(
        "the stream ended before it was complete: closed",
        received="Hello there.",
        tokens=Tokens(input=10, output=3),
        cost_usd=Decimal("0.00003"),
    )
    last = say()
    assert client.text == "Hello there."
    assert (last["type"], last["code"]) == ("error", "stream_cut")
    assert (last["cost_usd"], last["cost_estimated"]) == ("0.00003", True)
    assert conversations.history(TENANT, "conversation-1").turns == ()


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ModelThrottled("429", retry_after_seconds=3), "throttled"),
        (BudgetSpent("spent", code="budget_spent", limit="midnight"), "budget_spent"),
        (StoreUnavailable("no"), "unavailable"),
        (ValueError("unforeseen"), "failed"),
    ],
)
def test_whatever_goes_wrong_the_client_is_told(
    say: Say, model: Model, failure: Exception, code: str
) -> None:
    model.pieces, model.failure = (), failure
    last = say()
    assert (last["type"], last["code"]) == ("error", code)


@pytest.mark.parametrize(
    ("pieces", "finish", "code"),
    [
        (("Half",), "length", "answer_cut"),
        (("Half",), "MAX_TOKENS", "answer_cut"),
        (("Half",), "SAFETY", "refused"),
        (("Half",), "error", "answer_failed"),
        (("Half",), "tool_calls", "answer_unusable"),
        ((" ",), "stop", "answer_empty"),
    ],
)
def test_an_answer_that_is_not_whole_is_said_to_be_none_and_is_no_turn(
    say: Say,
    model: Model,
    conversations: Conversations,
    pieces: tuple[str, ...],
    finish: str,
    code: str,
) -> None:
    model.pieces, model.finish_reason = pieces, finish
    last = say()
    assert (last["type"], last["code"]) == ("error", code)
    assert (last["cost_usd"], last["cost_estimated"]) == ("0.00001", False)
    assert conversations.history(TENANT, "conversation-1").turns == ()


def test_an_answer_that_never_ends_ends_before_its_function_does(say: Say, model: Model) -> None:
    model.endless = True
    last = say(seconds=1.2)
    assert (last["type"], last["code"]) == ("error", "timed_out")
    assert (last["cost_usd"], last["cost_estimated"]) == ("0.00003", True)
