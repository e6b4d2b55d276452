"""POST /chat/completions and GET /stats on moto, in front of a stand-in for the gateway."""

import json
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import boto3
import pytest
from openai._utils import maybe_transform
from openai.types.chat import (
    ChatCompletion,
    ChatCompletionAssistantMessageParam,
    ChatCompletionMessage,
)
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from quorum.aws import loop

from fakes.gateway import Fault, ModelScenario, Scenario, StandIn, running
from functions.api import app as api
from tests.functions.conftest import Ask, Context

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello."}], "temperature": 0}


@pytest.fixture
def stand_in(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """The gateway the API function asks."""
    boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk")
    with running(Scenario()) as one:
        monkeypatch.setenv("GATEWAY_BASE_URL", one.base_url)
        yield one
        loop.run(api.app().asking.close())


@pytest.fixture
def complete(ask: Ask) -> Callable[..., tuple[int, Any]]:
    """Ask for a chat completion; returns status and body."""

    def asked(body: Any = None, **changes: Any) -> tuple[int, Any]:
        return ask((body or HELLO) | changes, name="post_chat_completion.json")

    return asked


Complete = Callable[..., tuple[int, Any]]


def test_an_answer_comes_in_openais_form_and_says_what_it_cost(
    complete: Complete, stand_in: StandIn
) -> None:
    status, answer = complete(model="gpt-4.1")
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["model"] == "gpt-4.1"
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant"
    assert choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert answer["cost_usd"] == str(stand_in.count.cost_usd)
    assert answer["cached"] is False


def test_what_was_asked_reaches_the_model_as_it_was_asked(
    complete: Complete, stand_in: StandIn
) -> None:
    schema = {"type": "object", "properties": {"hello": {"type": "string"}}}
    complete(
        messages=[
            {"role": "developer", "content": "Be brief."},
            {
                "role": "user",
                "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}],
            },
        ],
        temperature=0.5,
        top_p=0.9,
        stop="END",
        seed=7,
        max_completion_tokens=12,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    )
    (body,) = stand_in.bodies
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello."},
    ]
    assert body["model"] == "gpt-4.1-nano", "the default model"
    assert (body["temperature"], body["top_p"], body["stop"]) == (0.5, 0.9, ["END"])
    assert (body["seed"], body["max_tokens"]) == (7, 12)
    assert body["response_format"]["json_schema"]["schema"] == schema


def test_the_same_question_is_answered_from_the_cache_unless_that_is_not_wanted(
    complete: Complete, ask: Ask, stand_in: StandIn
) -> None:
    _, first = complete()
    _, again = complete()
    _, fresh = complete(use_cache=False)
    assert (again["cached"], fresh["cached"]) == (True, False)
    assert again["cost_usd"] == "0"
    assert again["choices"] == first["choices"]
    assert stand_in.count.requests == 2
    _, counted = ask(name="get_stats.json", queryStringParameters=None)
    assert (counted["hits"], counted["misses"], counted["not_cacheable"]) == (1, 1, 1)
    assert counted["saved_usd"] == first["cost_usd"]
    assert counted["saved_tokens"] == first["usage"]["total_tokens"]
    _, other = ask(name="get_stats.json", queryStringParameters=None, tenant="other")
    assert (other["hits"], other["hit_rate"]) == (0, None)


def test_a_stream_is_the_same_answer_as_server_sent_events(
    complete: Complete, ask: Ask, stand_in: StandIn, event: Any, context: Any
) -> None:
    _, whole = complete()
    request = event("post_chat_completion.json")
    asked = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
    request["body"] = json.dumps(asked)
    request["requestContext"]["authorizer"]["tenant"] = "acme"
    answer = api.handler(request, context)
    assert answer["multiValueHeaders"]["Content-Type"] == ["text/event-stream"]
    events = [line.removeprefix("data: ") for line in answer["body"].split("\n\n") if line]
    assert events.pop() == "[DONE]"
    chunks = [json.loads(written) for written in events]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    text = "".join(
        choice["delta"].get("content", "") for chunk in chunks for choice in chunk["choices"]
    )
    assert text == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-1]["cached"] is True


def _as_sent(message: ChatCompletionMessage) -> Any:
    """The message as the SDK sends it when it is put among the messages as it is."""
    return maybe_transform(message, ChatCompletionAssistantMessageParam)


@pytest.mark.parametrize("send_back", [_as_sent, ChatCompletionMessage.model_dump])
def test_the_sdks_second_turn_is_answered(
    complete: Complete, stand_in: StandIn, send_back: Callable[[ChatCompletionMessage], Any]
) -> None:
    _, first = complete()
    said = ChatCompletion.model_validate(first).choices[0].message
    again = {"role": "user", "content": "Once more."}
    status, _ = complete(messages=[*HELLO["messages"], send_back(said), again])
    assert status == 200
    assert stand_in.bodies[-1]["messages"][1] == {"role": "assistant", "content": said.content}


ANSWERED: list[tuple[dict[str, Any], str]] = [
    ({"content": "Hi.", "refusal": None}, "Hi."),
    ({"content": None, "refusal": "No."}, "No."),
    ({"content": "Hi.", "tool_calls": None, "function_call": None, "audio": None}, "Hi."),
    ({"content": "Hi.", "tool_calls": []}, "Hi."),
    ({"content": "Hi.", "annotations": [{"type": "url_citation"}], "name": "bot"}, "Hi."),
    ({"content": "Hi.", "reasoning_content": "They greet."}, "Hi."),
    (
        {"content": "Hi.", "reasoning": "They greet.", "reasoning_details": [{"type": "text"}]},
        "Hi.",
    ),
    ({"content": "Hi.", "reasoning": None, "thinking_blocks": [], "images": None}, "Hi."),
    ({"content": "Hi.", "provider_specific_fields": {"citations": None}}, "Hi."),
    ({"content": "Hi.", "refusal": "No."}, "Hi."),
    ({"content": [], "annotations": None}, ""),
    ({"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i."}]}, "Hi."),
    ({"content": [{"type": "refusal", "refusal": "No."}]}, "No."),
    ({"content": ""}, ""),
]


@pytest.mark.parametrize(("message", "said"), ANSWERED, ids=str)
def test_every_field_the_api_gives_an_answer_is_taken_back(
    complete: Complete, stand_in: StandIn, message: dict[str, Any], said: str
) -> None:
    turns = [{"role": "assistant"} | message, {"role": "user", "content": "And?"}]
    status, _ = complete(messages=[*HELLO["messages"], *turns])
    assert status == 200
    assert stand_in.bodies[-1]["messages"][1] == {"role": "assistant", "content": said}


NULLABLE = sorted(set(get_type_hints(CompletionCreateParamsNonStreaming)) - {"messages"})


def test_every_field_of_the_openai_api_may_be_null(complete: Complete, stand_in: StandIn) -> None:
    status, answer = complete(**dict.fromkeys(NULLABLE))
    assert (status, answer.get("error")) == (200, None)
    assert stand_in.bodies[-1]["temperature"] == 1


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 1, "logprobs": False, "service_tier": "auto", "store": False, "metadata": {"a": "b"}},
        {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k", "tool_choice": "none"},
        {"modalities": ["text"], "parallel_tool_calls": True},
        {"stream_options": {"include_usage": None}, "response_format": {"type": "text"}},
        {"tools": [], "functions": [], "logit_bias": {}, "tool_choice": "auto"},
        {"reasoning_effort": "none", "verbosity": "medium", "stop": [], "seed": -5},
        {"max_tokens": 5.0, "max_completion_tokens": 7, "metadata": {}},
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "Be brief."}],
                       "name": None}, {"role": "user", "content": "Hi", "name": "ada"}]},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"type": "object"}}}},
        {"messages": [{"role": "user", "content": [
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]}]},
    ],
    ids=str,
)  # fmt: skip
def test_what_asks_for_nothing_else_than_an_answer_is_taken(
    complete: Complete, stand_in: StandIn, asked: dict[str, Any]
) -> None:
    status, answer = complete(**asked)
    assert (status, answer.get("error")) == (200, None)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "assistant", "content": None}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x", "refusal": "no"}]}, "messages.0"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [{"id": "1"}]}]},
         "messages.0.tool_calls"),
        ({"messages": [{"role": "user", "content": "x", "cost": 1}]}, "messages.0.cost"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages.0.content"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
         "messages.0.content.0.type"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "x", "y": 1}]}]},
         "messages.0.content.0.y"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x", ""]}, "stop.1"),
        ({"stop": ["x"] * 5}, "stop"),
        ({"logprobs": True}, "logprobs"),
        ({"store": True}, "store"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"temprature": 0}, "temprature"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "function", "content": "x", "name": "f"}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": "x", "audio": {"id": "1"}}]},
         "messages.0.audio"),
        ({"messages": [{"role": "assistant", "function_call": {"name": "f"}, "content": "x"}]},
         "messages.0.function_call"),
        ({"messages": ["hello"]}, "messages.0"),
        ({"messages": [None]}, "messages.0"),
        ({"messages": [{"content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "User", "content": "x"}]}, "messages.0.role"),
        ({"stop": [None]}, "stop.0"),
        ({"modalities": ["text", "audio"]}, "modalities.1"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"max_tokens": 100_000}, "max_tokens"),
        ({"extra_body": {}}, "extra_body"),
        ({"temperature": 3}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"n": 2}, "n"),
        ({"model": "gpt-9"}, "model"),
        ({"model": "rules"}, "model"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_served_is_a_400_that_names_the_field(
    complete: Complete, change: dict[str, Any], field: str
) -> None:
    status, answer = complete(**change)
    assert status == 400
    assert answer["error"]["field"] == field


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [(Fault.THROTTLED, 429, "throttled"), (Fault.UNAVAILABLE, 502, "model_unavailable")],
)
def test_a_model_that_does_not_answer_is_said_to_the_caller(
    complete: Complete,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
    status: int,
    code: str,
) -> None:
    monkeypatch.setattr(Context, "remaining_milliseconds", 25_000)  # too few to wait for a retry
    stand_in.scenario = Scenario(rates={fault: 1.0}, retry_after="30")
    answered, body = complete()
    assert (answered, body["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("reply", "finish", "code"),
    [(" ", "stop", "answer_empty"), ("Half", "error", "answer_failed"),
     ("Half", "tool_calls", "answer_unusable")],
)  # fmt: skip
def test_an_answer_that_the_api_has_no_word_for_is_an_error_and_is_asked_for_again(
    complete: Complete, stand_in: StandIn, reply: str, finish: str, code: str
) -> None:
    model = ModelScenario(reply=reply, finish_reason=finish)
    stand_in.scenario = Scenario(models={"gpt-4.1-nano": model})
    status, answer = complete()
    assert (status, answer["error"]["code"]) == (502, code)
    stand_in.scenario = Scenario()
    assert complete()[0] == 200


@pytest.mark.parametrize(
    ("finish", "told"),
    [("length", "length"), ("MAX_TOKENS", "length"), ("content_filter", "content_filter"),
     ("SAFETY", "content_filter"), ("end_turn", "stop")],
)  # fmt: skip
def test_how_an_answer_ended_is_told_in_the_words_of_the_openai_api(
    complete: Complete, stand_in: StandIn, finish: str, told: str
) -> None:
    model = ModelScenario(reply="Half", finish_reason=finish)
    stand_in.scenario = Scenario(models={"gpt-4.1-nano": model})
    _, answer = complete()
    (choice,) = answer["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("Half", told)


def test_the_conversation_is_in_no_log(
    complete: Complete, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    complete(messages=[{"role": "user", "content": "a very particular question"}])
    complete(messages=[{"role": "particular", "content": "a very particular question"}])
    written = capsys.readouterr()
    assert "particular" not in written.out + written.err
