"""Chat: what comes in, what is kept, and one answer from its question to its client."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from quorum.answer.questions import Answered, Question
from quorum.app.chat import ConversationContainer
from quorum.app.settings import ChatSettings
from quorum.aws.keys import Caller, Keys
from quorum.chat.chat import Asked, ChatRequest
from quorum.chat.connections import Connections
from quorum.chat.conversations import TURNS_LOOKED_AT, Conversations, Turn
from quorum.chat.conversing import Conversing, Judges, Pace, fitting
from quorum.chat.reception import Reception, starting
from quorum.chat.relay import BUFFER_CHARACTERS
from quorum.core import registry
from quorum.core.errors import (
    BudgetSpent,
    Conflict,
    ConnectionGone,
    ModelThrottled,
    NotFound,
    PanelInvalid,
    StoreUnavailable,
    StreamCut,
)
from quorum.core.models import Content, Decision, Tokens, Verdict
from quorum.gateway.client import Delta
from quorum.gateway.deadline import Deadline
from quorum.vote import panel
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.panel import Panel

from fakes.gateway import serving
from functions.authorize import app as authorize
from functions.chat import app
from functions.converse import app as converse
from tests import make
from tests.clock import Clock
from tests.functions.conftest import reopen
from tests.template import ROOT
from tests.world import Serial

Message = dict[str, Any]
CONNECTION, TENANT = "connection-1", "acme"
PRICE = Decimal("0.00001")


@pytest.fixture
def conversations(aws: Any, clock: Clock) -> Conversations:
    kept = Conversations(Serial(aws), "ConversationsTable", seconds=3600, clock=clock)  # type: ignore[arg-type] # as in every world
    kept.connect(CONNECTION, Caller(tenant=TENANT))
    return kept


class Client:
    """The client's end: what it was sent; it may be gone, or slow."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.gone = False
        self.seen: Callable[[Message], None] = lambda _message: None

    def post(self, _connection: str, message: Message) -> None:
        if self.gone:
            raise ConnectionGone("gone")
        self.messages.append(message)
        self.seen(message)

    @property
    def last(self) -> Message:
        return self.messages[-1]

    @property
    def text(self) -> str:
        return "".join(one["content"] for one in self.messages if one["type"] == "token")


@pytest.fixture
def client() -> Client:
    return Client()


class Model:
    """Stands where `Asking` does: says its pieces, and counts what was taken and stopped.

    After its pieces it ends, fails with `failure`, or, if `endless`, says nothing more.
    """

    def __init__(self, *pieces: str) -> None:
        self.pieces: tuple[str, ...] = pieces or ("Hello", " there", ".")
        self.failure: Exception | None = None
        self.endless = False
        self.finish_reason = "stop"
        self.questions: list[Question] = []
        self.taken = 0
        self.booked: list[Answered] = []

    async def stream(
        self,
        _tenant: str,
        question: Question,
        *,
        deadline: Deadline,
        use_cache: bool | None = None,  # noqa: ARG002 - as the real one
        stopped: Callable[[Answered], None] | None = None,
    ) -> AsyncGenerator[Delta | Answered]:
        self.questions.append(question)
        try:
            for piece in self.pieces:
                self.taken += 1
                yield Delta(piece)
            if self.endless:
                await asyncio.sleep(deadline.remaining() + 60)
            if self.failure is not None:
                raise self.failure
        except (GeneratorExit, asyncio.CancelledError):
            await asyncio.sleep(0)  # booking takes a while
            self.booked.append(self._answered(estimated=True))
            if stopped is not None:
                stopped(self.booked[-1])
            raise
        self.booked.append(self._answered())
        yield self.booked[-1]

    def _answered(self, *, estimated: bool = False) -> Answered:
        text = "".join(self.pieces[: self.taken])
        return Answered(
            text=text,
            finish_reason=None if estimated else self.finish_reason,
            model="gpt-4.1-nano",
            tokens=Tokens(input=10, output=self.taken),
            cost_usd=PRICE * self.taken,
            cost_estimated=estimated,
        )


@pytest.fixture
def model() -> Model:
    return Model()


class Voters:
    """Say `unsafe` of what holds a word."""

    def __init__(self) -> None:
        self.unsafe = "nonsense"
        self.judged: list[str] = []
        self.spent = False

    def verdict(self, _tenant: str, content: Content, panel: Panel) -> Verdict:
        self.judged.append(content.text)
        decision = Decision.UNSAFE if self.unsafe in content.text else Decision.SAFE
        votes = tuple(make.cast(voter, decision) for voter in panel.voters)
        found = conclude_without_votes(make.evaluation(), "made up", now=make.NOW)
        return found.model_copy(
            update={"decision": decision, "votes": votes, "cost_usd": Decimal("0.001")}
        )

    def panel_of(self, _tenant: str, name: str | None) -> Panel:
        if name == "unknown":
            raise PanelInvalid("there is no panel 'unknown'", path="panel")
        return panel.packaged(name or "default")

    def require_budget(self, _tenant: str) -> None:
        if self.spent:
            raise BudgetSpent("spent", code="budget_spent", limit="midnight")


@pytest.fixture
def voters() -> Voters:
    return Voters()


@pytest.fixture
def conversing(
    model: Model, conversations: Conversations, client: Client, voters: Voters
) -> Callable[..., Conversing]:
    def build(*, history_tokens: int = 1_000, buffer: int = BUFFER_CHARACTERS) -> Conversing:
        return Conversing(
            model,  # type: ignore[arg-type] # it streams, which is all that is asked of it
            conversations,
            client,  # type: ignore[arg-type] # it takes posts, likewise
            Judges(voters.verdict, voters.panel_of, voters.require_budget),
            history_tokens=history_tokens,
            pace=Pace(interval_seconds=0.0, watch_seconds=0.0, pile_characters=buffer),
        )

    return build


Say = Callable[..., Message]


@pytest.fixture
def say(conversing: Callable[..., Conversing], conversations: Conversations, client: Client) -> Say:
    """Send a prompt and have it answered; gives the last message."""
    numbers = iter(range(1, 1_000))

    def send(
        prompt: str = "Hello?",
        *,
        conversation: str | None = None,
        build: dict[str, Any] | None = None,
        seconds: float = 60.0,
        **changes: Any,
    ) -> Message:
        request_id = f"request-{next(numbers)}"
        given = {"action": "chat", "prompt": prompt} | changes
        request = ChatRequest.model_validate(given)
        conversations.open(CONNECTION, request_id)
        asked = Asked(
            connection=CONNECTION,
            tenant=TENANT,
            request_id=request_id,
            request=request,
            model="gpt-4.1-nano",
            conversation=conversation or "conversation-1",
            fresh=conversation is None,
        )
        answering = conversing(**(build or {})).converse(asked, Deadline.after(seconds))
        asyncio.run(asyncio.wait_for(answering, 30))
        return client.last

    return send


# ---- one answer ---------------------------------------------------------------------------------


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


def test_a_request_delivered_twice_is_answered_once(
    conversing: Callable[..., Conversing], conversations: Conversations, model: Model
) -> None:
    conversations.open(CONNECTION, "once")
    asked = Asked(
        connection=CONNECTION,
        tenant=TENANT,
        request_id="once",
        request=ChatRequest(action="chat", prompt="Hello?"),
        model="gpt-4.1-nano",
    )

    async def twice() -> None:
        one, other = conversing(), conversing()
        await asyncio.gather(
            one.converse(asked, Deadline.after(20)), other.converse(asked, Deadline.after(20))
        )

    asyncio.run(twice())
    assert len(model.questions) == 1


def test_cancel_stops_the_model_and_says_what_was_paid(
    say: Say, client: Client, model: Model, conversations: Conversations
) -> None:
    model.endless = True
    client.seen = lambda _message: conversations.cancel(CONNECTION, "request-1")
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

    def open_and_cancel(connection: str, request_id: str) -> None:
        open_(connection, request_id)
        conversations.cancel(connection, request_id)

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


# ---- moderation ---------------------------------------------------------------------------------


def test_an_unsafe_prompt_is_not_asked(say: Say, model: Model) -> None:
    last = say("What nonsense.", moderate={"prompt": True})
    assert (last["type"], last["code"]) == ("error", "prompt_unsafe")
    assert last["verdict"] == "verdict-1"
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


# ---- history ------------------------------------------------------------------------------------


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


# ---- what comes in ------------------------------------------------------------------------------


class Started:
    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)


@pytest.fixture
def started() -> Started:
    return Started()


@pytest.fixture
def reception(conversations: Conversations, client: Client, started: Started) -> Reception:
    return Reception(conversations, client, started, default_model="gpt-4.1-nano")  # type: ignore[arg-type] # it takes posts


def test_a_chat_is_begun_for_the_tenant_that_connected(
    reception: Reception, started: Started, client: Client
) -> None:
    reception.receive(CONNECTION, json.dumps({"action": "chat", "prompt": "Hello?"}))
    (asked,) = started.asked
    assert (asked.tenant, asked.model, asked.fresh) == (TENANT, "gpt-4.1-nano", True)
    assert asked.conversation
    assert client.messages == []


def test_an_alias_is_the_model_it_names(reception: Reception, started: Started) -> None:
    said = {"action": "chat", "prompt": "Hello?", "model": "deepseek-chat"}
    reception.receive(CONNECTION, json.dumps(said))
    assert started.asked[0].model == "deepseek-v3.2"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"action": "chat", "prompt": "x", "model": "gpt-9"}, "invalid_model"),
        ({"action": "chat", "prompt": "x", "model": "rules"}, "invalid_model"),
        ({"action": "chat", "prompt": "x", "conversation": "another's"}, "invalid_conversation"),
        ({"action": "chat", "prompt": "x", "conversation": "nobodys"}, "conversation_not_found"),
        ({"action": "chat", "prompt": "x", "request_id": "used"}, "request_id_used"),
        ({"action": "cancel", "request_id": "never"}, "request_not_found"),
        ({"action": "sing"}, "invalid_action"),
    ],
)
def test_what_cannot_be_answered_is_refused_at_once(
    reception: Reception,
    conversations: Conversations,
    client: Client,
    started: Started,
    said: Message,
    code: str,
) -> None:
    conversations.open(CONNECTION, "used")
    reception.receive(CONNECTION, json.dumps(said | {"request_id": said.get("request_id", "one")}))
    assert (client.last["type"], client.last["code"]) == ("error", code)
    assert client.last["request_id"] == said.get("request_id", "one")
    assert started.asked == []


def test_two_requests_of_one_connection_do_not_share_a_flag(conversations: Conversations) -> None:
    conversations.open(CONNECTION, "one")
    conversations.open(CONNECTION, "other")
    conversations.cancel(CONNECTION, "one")
    assert conversations.standing(CONNECTION, "one") == (True, True)
    assert conversations.standing(CONNECTION, "other") == (True, False)
    with pytest.raises(Conflict):
        conversations.open(CONNECTION, "one")


def test_a_client_that_left_is_not_told_what_was_wrong(
    reception: Reception, client: Client
) -> None:
    client.gone = True
    reception.receive(CONNECTION, "nonsense")
    assert client.messages == []


def test_the_streaming_function_is_started_and_not_waited_for() -> None:
    functions = boto3.client("lambda", region_name="us-east-1")
    asked = Asked.model_validate_json((ROOT / "events/converse.json").read_text())
    with Stubber(functions) as stubbed:
        stubbed.add_response(
            "invoke",
            {"StatusCode": 202},
            {
                "FunctionName": "converse",
                "InvocationType": "Event",
                "Payload": asked.model_dump_json().encode(),
            },
        )
        stubbed.add_client_error("invoke", "TooManyRequestsException")
        start = starting(functions, "converse")
        start(asked)
        with pytest.raises(StoreUnavailable):
            start(asked)


# ---- posting ------------------------------------------------------------------------------------


def test_who_cannot_be_reached_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    management = boto3.client(
        "apigatewaymanagementapi", region_name="us-east-1", endpoint_url="https://example.com/v1"
    )
    connections = Connections(management)
    with Stubber(management) as stubbed:
        for code in ("GoneException", "ForbiddenException"):
            stubbed.add_client_error("post_to_connection", code, http_status_code=410)
            with pytest.raises(ConnectionGone):
                connections.post(CONNECTION, {"type": "token", "content": "a secret"})
    (logged,) = caplog.records  # a client that left is nothing to report
    assert vars(logged)["error"] == "ForbiddenException"
    assert "secret" not in str(vars(logged))


def test_a_throttled_post_is_sent_again(aws_credentials: None) -> None:
    statuses = [429, 200]
    received: list[bytes] = []

    async def api(_scope: Any, receive: Any, send: Any) -> None:
        received.append((await receive())["body"])
        headers = [(b"x-amzn-errortype", b"LimitExceededException"), (b"content-length", b"2")]
        start = {"type": "http.response.start", "status": statuses.pop(0), "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": b"{}"})

    with serving(api) as url:
        settings = ChatSettings(conversations_table="ConversationsTable", connections_url=url)
        ConversationContainer(settings).connections.post(CONNECTION, {"type": "token"})
    assert received == [b'{"type":"token"}'] * 2


# ---- the handlers -------------------------------------------------------------------------------


@pytest.fixture
def route(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> Callable[[str], dict[str, Any]]:
    within("RouteFunction")
    reopen(app)
    return lambda name: dict(app.handler(event(name), context))


def rows(aws: Any) -> list[str]:
    return sorted(item["entry"] for item in aws.Table("ConversationsTable").scan()["Items"])


def test_a_connection_is_known_from_its_first_to_its_last(
    route: Callable[[str], dict[str, Any]], aws: Any
) -> None:
    assert route("chat_connect.json")["statusCode"] == 200
    assert rows(aws) == ["connection"]
    assert route("chat_disconnect.json")["statusCode"] == 200
    assert rows(aws) == []


def test_a_message_is_taken_or_refused_but_never_an_error_of_the_function(
    route: Callable[[str], dict[str, Any]], aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Asked] = []
    route("chat_connect.json")
    monkeypatch.setattr(app.app().reception, "_start", begun.append)
    for name in ("chat_message.json", "chat_cancel.json", "chat_default.json"):
        assert route(name)["statusCode"] == 200
    (asked,) = begun
    assert asked.request.prompt == "Why is the sky blue?"
    assert "request#question-1" in rows(aws)


def test_an_answer_begun_by_nobody_is_not_given(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> None:
    within("ConverseFunction")
    reopen(converse)
    converse.handler(event("converse.json"), context)
    assert rows(aws) == []


def test_a_key_may_open_a_chat_and_an_unknown_one_may_not(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> None:
    within("AuthorizeFunction")
    authorize.app.cache_clear()
    request = event("authorize_chat.json")
    denied = authorize.handler(request, context)["policyDocument"]["Statement"][0]
    assert denied["Effect"] == "Deny"
    request["headers"] = {}
    request["queryStringParameters"] = {
        "key": Keys(aws.Table("KeysTable")).issue(Caller(tenant="acme"))
    }
    policy = authorize.handler(request, context)
    (allowed,) = policy["policyDocument"]["Statement"]
    assert allowed["Effect"] == "Allow"
    assert allowed["Resource"] == ["arn:aws:execute-api:us-east-1:123456789012:local/v1/*"]
    assert policy["context"] == {"tenant": "acme", "role": "member"}
