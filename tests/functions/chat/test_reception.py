"""The chat's reception: its messages, its posts to a client, and its handlers."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from quorum.app.chat import ConversationContainer
from quorum.app.settings import ChatSettings
from quorum.aws.keys import Caller, Keys, hash_of
from quorum.chat.chat import Asked
from quorum.chat.connections import Connections
from quorum.chat.conversations import SLOT_SECONDS, Connected, Conversations
from quorum.chat.reception import Reception, starting
from quorum.core.errors import Conflict, ConnectionGone, RateLimited, StoreUnavailable, TooMany

from fakes.gateway import serving
from functions.authorize import app as authorize
from functions.chat import app
from functions.converse import app as converse
from tests.clock import Clock
from tests.functions.chat.conftest import CONNECTION, KEY_HASH, TENANT, Client, Message
from tests.functions.conftest import reopen
from tests.template import ROOT

MODEL = "gpt-4.1-nano"


class Started:
    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)


@pytest.fixture
def started() -> Started:
    return Started()


def only_the_key(key_hash: str) -> None:
    assert key_hash == KEY_HASH


def reception_of(
    conversations: Conversations,
    client: Client,
    start: Callable[[Asked], None],
    *,
    admit: Callable[[str], None] = only_the_key,
    answers_at_once: int = 3,
) -> Reception:
    return Reception(
        conversations,
        client,  # type: ignore[arg-type] # it takes posts
        start,
        default_model=MODEL,
        admit=admit,
        answers_at_once=answers_at_once,
    )


@pytest.fixture
def reception(conversations: Conversations, client: Client, started: Started) -> Reception:
    return reception_of(conversations, client, started)


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


@pytest.mark.parametrize(
    "body",
    [
        "{",
        '{"action": "sing"}',
        '{"prompt": "x", "max_tokens": 0}',
        '{"prompt": "x", "model": "gpt-9"}',
        '{"prompt": "x", "conversation": "nobodys"}',
        '{"action": "cancel", "request_id": "never"}',
        json.dumps({"prompt": "x" * 140_000}),
    ],
)
def test_a_message_that_is_refused_counts_as_one_that_is_answered_does(
    conversations: Conversations, client: Client, started: Started, body: str
) -> None:
    counted: list[str] = []
    reception = reception_of(conversations, client, started, admit=counted.append)
    reception.receive(CONNECTION, body)
    assert client.last["type"] == "error"
    assert (counted, started.asked) == ([KEY_HASH], [])


def test_a_key_over_its_limit_is_told_so_and_not_what_is_wrong_with_its_message(
    conversations: Conversations, client: Client, started: Started
) -> None:
    def over(_key_hash: str) -> None:
        raise RateLimited("too many", code="rate_limited", limit=1, retry_after_seconds=30)

    reception = reception_of(conversations, client, started, admit=over)
    reception.receive(CONNECTION, '{"prompt": "x", "model": "gpt-9"}')
    assert client.last["code"] == "rate_limited"
    conversations.open(CONNECTION, "one")
    reception.receive(CONNECTION, '{"action": "cancel", "request_id": "one"}')
    assert conversations.client_state(CONNECTION, "one").cancelled
    assert len(client.messages) == 1


def test_two_requests_of_one_connection_do_not_share_a_flag(conversations: Conversations) -> None:
    conversations.open(CONNECTION, "one")
    conversations.open(CONNECTION, "other")
    conversations.cancel(CONNECTION, "one")
    assert conversations.client_state(CONNECTION, "one") == (True, True)
    assert conversations.client_state(CONNECTION, "other") == (True, False)
    with pytest.raises(Conflict):
        conversations.open(CONNECTION, "one")


def ask(reception: Reception, *names: str) -> None:
    for name in names:
        said = {"action": "chat", "prompt": "Hello?", "request_id": name}
        reception.receive(CONNECTION, json.dumps(said))


def test_a_connection_has_a_few_answers_at_once_and_one_more_is_refused_with_the_limit(
    conversations: Conversations, client: Client, started: Started
) -> None:
    reception = reception_of(conversations, client, started, answers_at_once=2)
    ask(reception, "one", "two", "three")
    assert [(asked.request_id, asked.slot) for asked in started.asked] == [("one", 0), ("two", 1)]
    assert client.messages == [
        {
            "type": "error",
            "request_id": "three",
            "code": "too_many_answers",
            "message": "a connection has at most 2 answers at once; wait for one or cancel it",
            "limit": 2,
        }
    ]
    conversations.connect("another", Caller(tenant=TENANT), KEY_HASH)
    assert conversations.open("another", "one", 2) == 0
    conversations.close(CONNECTION, "one", 0)
    conversations.close(CONNECTION, "one", 1)  # it has another's slot no more than its own
    ask(reception, "three", "four")
    assert [(asked.request_id, asked.slot) for asked in started.asked[2:]] == [("three", 0)]
    assert client.last["request_id"] == "four"


def test_a_worker_that_died_gives_its_slot_back_after_a_while(
    reception: Reception, client: Client, started: Started, clock: Clock
) -> None:
    ask(reception, "one", "two", "three")
    clock.now += SLOT_SECONDS - 1
    ask(reception, "four")
    assert client.last["code"] == "too_many_answers"
    clock.now += 1
    ask(reception, "four")
    assert [asked.request_id for asked in started.asked] == ["one", "two", "three", "four"]


def test_an_answer_that_cannot_be_begun_takes_no_slot(
    conversations: Conversations, client: Client
) -> None:
    def down(_asked: Asked) -> None:
        raise StoreUnavailable("no function to spare")

    reception = reception_of(conversations, client, down, answers_at_once=1)
    ask(reception, "one", "two")
    assert [message["code"] for message in client.messages] == ["unavailable"] * 2


def test_of_many_that_begin_at_the_same_time_no_more_than_may_get_a_slot(
    conversations: Conversations,
) -> None:
    def take(number: int) -> bool:
        try:
            conversations.open(CONNECTION, f"request-{number}", 2)
        except TooMany:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(take, range(12))) == 2


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


@pytest.fixture
def route(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> Callable[[str], dict[str, Any]]:
    within("RouteFunction")
    reopen(app)
    connected = event("chat_connect.json")["requestContext"]["authorizer"]
    aws.Table("KeysTable").put_item(Item=connected)
    return lambda name: dict(app.handler(event(name), context))


def test_a_message_that_names_its_caller_needs_no_look_at_its_connection(
    route: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Asked] = []
    route("chat_connect.json")
    monkeypatch.setattr(app.app().reception, "_start", begun.append)
    monkeypatch.delattr(Conversations, "connected")
    route("chat_message.json")
    assert [asked.tenant for asked in begun] == ["local"]


@pytest.mark.parametrize("left_out", ["authorizer", "key_hash"])
def test_a_message_that_does_not_name_its_caller_is_from_the_one_that_connected(
    route: Callable[[str], dict[str, Any]],
    event: Callable[[str], Any],
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
    left_out: str,
) -> None:
    begun: list[Asked] = []
    route("chat_connect.json")
    monkeypatch.setattr(app.app().reception, "_start", begun.append)
    message = event("chat_message.json")
    told = message["requestContext"]
    del (told if left_out in told else told["authorizer"])[left_out]
    app.handler(message, context)
    assert [asked.tenant for asked in begun] == ["local"]


def test_a_connection_that_is_closed_is_answered_nothing_whoever_a_message_names(
    reception: Reception, conversations: Conversations, client: Client, started: Started
) -> None:
    caller = Connected(tenant=TENANT, key_hash=KEY_HASH)
    conversations.disconnect(CONNECTION)
    reception.receive(CONNECTION, json.dumps({"action": "chat", "prompt": "Hello?"}), caller)
    assert (client.last["code"], started.asked) == ("connection_closed", [])


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


def test_a_connection_whose_key_was_revoked_gets_no_answer_any_more(
    route: Callable[[str], dict[str, Any]],
    event: Callable[[str], Any],
    aws: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[Asked] = []
    said: list[Message] = []
    route("chat_connect.json")
    monkeypatch.setattr(app.app().reception, "_start", begun.append)
    monkeypatch.setattr(
        app.app().connections, "post", lambda _connection, message: said.append(message)
    )
    Keys(aws, "KeysTable", "KeyUseTable").revoke(
        event("chat_connect.json")["requestContext"]["authorizer"]["key_hash"]
    )
    assert route("chat_message.json")["statusCode"] == 200
    assert begun == []
    assert [message["code"] for message in said] == ["invalid_api_key"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scopes": ["moderate"]}, "scope_missing"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "invalid_api_key"),
        ({"requests_per_minute": 1}, "rate_limited"),
    ],
)
def test_a_connections_key_is_asked_for_scope_end_and_limit_with_every_question(
    route: Callable[[str], dict[str, Any]],
    event: Callable[[str], Any],
    aws: Any,
    monkeypatch: pytest.MonkeyPatch,
    changes: dict[str, Any],
    code: str,
) -> None:
    begun: list[Asked] = []
    said: list[Message] = []
    route("chat_connect.json")
    connected = event("chat_connect.json")["requestContext"]["authorizer"]
    aws.Table("KeysTable").put_item(Item=connected | changes)
    monkeypatch.setattr(app.app().reception, "_start", begun.append)
    monkeypatch.setattr(
        app.app().connections, "post", lambda _connection, message: said.append(message)
    )
    for _ in range(2):
        assert route("chat_message.json")["statusCode"] == 200
    assert said[-1]["code"] == code
    assert len(begun) == (1 if code == "rate_limited" else 0)
    assert code != "rate_limited" or said[-1]["retry_after_seconds"] > 0


def test_a_question_is_refused_while_the_keys_cannot_be_read(
    conversations: Conversations, client: Client, started: Started
) -> None:
    def unreadable(_key_hash: str) -> None:
        raise StoreUnavailable("the keys could not be read")

    reception = reception_of(conversations, client, started, admit=unreadable)
    reception.receive(CONNECTION, json.dumps({"action": "chat", "prompt": "Hello?"}))
    assert (client.last["code"], started.asked) == ("unavailable", [])


def test_an_answer_begun_by_nobody_is_not_given(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> None:
    within("ConverseFunction")
    reopen(converse)
    converse.handler(event("converse.json"), context)
    assert rows(aws) == []


def test_a_key_may_open_a_chat_and_neither_an_unknown_one_nor_none_may(
    aws: Any, within: Callable[[str], None], event: Callable[[str], Any], context: Any
) -> None:
    within("AuthorizeFunction")
    authorize.app.cache_clear()
    request = event("authorize_chat.json")
    unknown = authorize.handler(request, context)
    request["headers"] = {}
    missing = authorize.handler(request, context)
    for denied in (unknown, missing):
        assert denied["policyDocument"]["Statement"][0]["Effect"] == "Deny"
    key = Keys(aws, "KeysTable", "KeyUseTable").issue(Caller(tenant="acme"))
    request["queryStringParameters"] = {"key": key}
    policy = authorize.handler(request, context)
    (allowed,) = policy["policyDocument"]["Statement"]
    assert allowed["Effect"] == "Allow"
    assert allowed["Resource"] == ["arn:aws:execute-api:us-east-1:123456789012:local/v1/*"]
    assert policy["context"] == {
        "tenant": "acme",
        "role": "member",
        "name": "",
        "review_is_flagged": False,
        "drop_unsupported_attributes": False,
        "key_hash": hash_of(key),
    }
