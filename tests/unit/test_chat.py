"""The messages of a chat's WebSocket."""

import json
from decimal import Decimal
from typing import Any

import pytest
from quorum.answer.questions import Answered, ChatMessage
from quorum.chat import chat
from quorum.chat.chat import Asked, CancelRequest, ChatRequest
from quorum.core import registry
from quorum.core.errors import (
    BudgetSpent,
    GatewayRejected,
    InvalidRequest,
    ModelRefused,
    ModelThrottled,
    ModelTimedOut,
    ModelUnavailable,
    ModelUnknown,
    PromptTooLong,
    RequestRejected,
    StreamCut,
    TooLarge,
    VoteUnavailable,
)
from quorum.core.models import CONTENT_LIMIT, Tokens

PROMPT: dict[str, Any] = {"action": "chat", "prompt": "Hello?", "request_id": "one"}


def read(**changes: Any) -> ChatRequest | CancelRequest:
    given = {name: value for name, value in (PROMPT | changes).items() if value is not None}
    return chat.read(json.dumps(given))


def refused(**changes: Any) -> RequestRejected:
    with pytest.raises(RequestRejected) as caught:
        read(**changes)
    return caught.value


def asked(**changes: Any) -> Asked:
    request = read(**changes)
    assert isinstance(request, ChatRequest)
    return Asked(
        connection="connection-1",
        tenant="acme",
        request_id="one",
        request=request,
        model="gpt-4.1-nano",
        conversation="conversation-1",
        fresh=True,
    )


def answered(text: str = "Hi.", **changes: Any) -> Answered:
    facts: dict[str, Any] = {
        "text": text,
        "finish_reason": "stop",
        "model": "gpt-4.1-nano",
        "tokens": Tokens(input=10, output=2),
        "cost_usd": Decimal("0.0000018000"),
    }
    return Answered.model_validate(facts | changes)


def test_a_prompt_and_messages_are_read() -> None:
    assert read() == ChatRequest.model_validate(PROMPT)
    messages = [{"role": "user", "content": "Hello?"}]
    taken = read(prompt=None, messages=messages)
    assert isinstance(taken, ChatRequest)
    assert taken.said() == (ChatMessage(role="user", content="Hello?"),)
    cancel = chat.read('{"action": "cancel", "request_id": "one"}')
    assert cancel == CancelRequest(action="cancel", request_id="one")


@pytest.mark.parametrize(
    ("changes", "code", "field", "limit"),
    [
        ({"action": "sing"}, "invalid_action", "action", None),
        ({"action": 7}, "invalid_action", "action", None),
        ({"prompt": None}, "invalid_prompt", "prompt", None),
        ({"prompt": ""}, "invalid_prompt", "prompt", 1),
        ({"messages": [{"role": "user", "content": "x"}]}, "invalid_prompt", "prompt", None),
        ({"prompt": None, "messages": []}, "invalid_messages", "messages", 1),
        (
            {"prompt": None, "messages": [{"role": "assistant", "content": "x"}]},
            "invalid_messages",
            "messages",
            None,
        ),
        (
            {
                "prompt": None,
                "messages": [{"role": "user", "content": "x"}],
                "conversation": "conversation-1",
            },
            "invalid_conversation",
            "conversation",
            None,
        ),
        ({"conversation": "a#b"}, "invalid_conversation", "conversation", r"^[\w.:@/-]+$"),
        ({"temperature": 3}, "invalid_temperature", "temperature", 2),
        ({"max_tokens": 0}, "invalid_max_tokens", "max_tokens", 1),
        ({"max_tokens": 10**6}, "invalid_max_tokens", "max_tokens", chat.OUTPUT_LIMIT),
        ({"temprature": 1}, "unknown_field", "temprature", None),
        ({"moderate": {"prompts": True}}, "unknown_field", "moderate.prompts", None),
        (
            {"prompt": "x" * (CONTENT_LIMIT + 1), "moderate": {"prompt": True}},
            "invalid_prompt",
            "prompt",
            CONTENT_LIMIT,
        ),
        (
            {"prompt": "\ufdfa" * 10_000, "moderate": {"prompt": True}},
            "invalid_prompt",
            "prompt",
            CONTENT_LIMIT,
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_field_and_limit(
    changes: dict[str, Any], code: str, field: str, limit: Any
) -> None:
    problem = refused(**changes)
    assert (problem.code, problem.field, problem.limit) == (code, field, limit)
    assert PROMPT["prompt"] not in problem.message


def test_a_message_without_an_action_is_a_chat() -> None:
    assert chat.read('{"prompt": "Hello?"}') == ChatRequest(prompt="Hello?")
    with pytest.raises(InvalidRequest) as caught:
        chat.read('{"request_id": "one"}')
    assert (caught.value.code, caught.value.field) == ("invalid_prompt", "prompt")


@pytest.mark.parametrize(
    "message",
    [
        '{"prompt": "Hello?", "action": null}',
        '{"prompt": "Hello?", "model": null, "temperature": null, "max_tokens": null}',
        '{"prompt": "Hello?", "moderate": null, "conversation": null, "use_cache": null}',
        '{"prompt": "Hello?", "moderate": {"prompt": null, "panel": null}}',
        '{"prompt": "Hello?", "messages": null, "system": null, "request_id": null}',
        '\ufeff{"prompt": "Hello?"}',
    ],
)
def test_what_is_null_counts_as_left_out_as_over_http(message: str) -> None:
    assert chat.read(message) == ChatRequest(prompt="Hello?")


def test_a_prompt_that_was_cut_inside_an_emoji_is_read() -> None:
    body = '{"prompt": "so nice \\ud83d", "request_id": "one"}'
    assert chat.read(body) == ChatRequest(prompt="so nice \ufffd", request_id="one")
    assert chat.named(body) == "one"


@pytest.mark.parametrize("body", ["7", "[]", '"chat"', "null", "[[]]"])
def test_what_is_no_object_names_no_action(body: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat.read(body)
    assert caught.value.code == "invalid_action"


def test_an_answer_of_the_openai_api_may_be_sent_back_as_it_came() -> None:
    said: dict[str, Any] = {
        "role": "assistant",
        "content": "Hi.",
        "refusal": None,
        "annotations": [],
    }
    again = {"role": "user", "content": [{"type": "text", "text": "And you?"}]}
    taken = read(prompt=None, messages=[{"role": "developer", "content": "Be brief."}, said, again])
    assert isinstance(taken, ChatRequest)
    assert [(message.role, message.content) for message in taken.said()] == [
        ("system", "Be brief."),
        ("assistant", "Hi."),
        ("user", "And you?"),
    ]
    assert taken.model_copy(update={"messages": None}).said() == ()
    assert ChatRequest.model_validate_json(taken.model_dump_json()) == taken


@pytest.mark.parametrize("body", ["nonsense", "", None, "[" * 100_000])
def test_what_is_not_json_is_refused_as_such(body: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        chat.read(body)
    assert caught.value.code == "invalid_json"
    assert chat.named(body) is None


def test_a_message_over_api_gateways_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge) as caught:
        read(prompt="x" * chat.MESSAGE_BYTES)
    assert caught.value.limit == chat.MESSAGE_BYTES


def test_the_error_of_a_bad_message_names_its_request_where_that_can_be_read() -> None:
    assert chat.named('{"request_id": "one", "action": "sing"}') == "one"


def test_the_question_is_what_was_said_before_and_what_is_said_now() -> None:
    history = (ChatMessage(role="user", content="A?"), ChatMessage(role="assistant", content="A."))
    question = asked(temperature=0.0, max_tokens=7).question(history, "Be kind.")
    said = [(message.role, message.content) for message in question.messages]
    assert said == [
        ("system", "Be kind."),
        ("user", "A?"),
        ("assistant", "A."),
        ("user", "Hello?"),
    ]
    assert (question.temperature, question.max_output_tokens) == (0.0, 7)


def test_all_that_a_client_says_is_judged_whatever_role_it_gives_to_its_words() -> None:
    messages = [
        {"role": "developer", "content": "Before."},
        {"role": "user", "content": "First."},
        {"role": "assistant", "content": "Put into its mouth."},
        {"role": "user", "content": "Last."},
    ]
    request = read(prompt=None, messages=messages, system="Above all.")
    assert isinstance(request, ChatRequest)
    assert request.judged_prompt() == (
        "Above all.\n\nBefore.\n\nFirst.\n\nPut into its mouth.\n\nLast."
    )
    alone = read(system="Be kind.")
    assert isinstance(alone, ChatRequest)
    assert alone.judged_prompt() == "Be kind.\n\nHello?"


def test_an_answer_ends_with_all_of_it_and_what_it_cost() -> None:
    message = chat.complete(asked(), answered(), 1, dropped_turns=0, kept=True)
    assert message["full_response"] == "Hi."
    assert message["usage"] == {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12}
    assert message["cost_usd"] == "0.0000018"
    assert message["conversation"] == "conversation-1"
    assert not message["cached"]


def test_an_answer_too_long_for_a_message_is_not_repeated_and_that_is_said() -> None:
    message = chat.complete(asked(), answered("가" * (chat.FRAME_BYTES // 3)), 99)
    assert message["full_response"] is None
    assert message["full_response_omitted"]
    assert message["tokens_sent"] == 99
    assert len(chat.written(message)) < chat.FRAME_BYTES


def test_a_stopped_answer_says_what_was_paid() -> None:
    message = chat.stopped("cancelled", asked(), answered(cost_estimated=True))
    assert message["type"] == "cancelled"
    assert (message["cost_usd"], message["cost_estimated"]) == ("0.0000018", True)
    unknown = chat.stopped("cancelled", asked(), None)
    assert (unknown["cost_usd"], unknown["cost_estimated"]) == ("0", True)


def test_every_error_has_one_form_and_what_was_paid_all_the_same() -> None:
    cut = StreamCut(
        "the stream ended before it was complete: closed",
        received="a secret",
        tokens=Tokens(input=5, output=3),
        cost_usd=Decimal("0.01"),
    )
    told = chat.error("one", cut)
    assert told["code"] == "stream_cut"
    assert (told["cost_usd"], told["cost_estimated"]) == ("0.01", True)
    assert "secret" not in json.dumps(told)
    throttled = chat.error("one", ModelThrottled("429", retry_after_seconds=2.5))
    assert (throttled["code"], throttled["retry_after_seconds"]) == ("throttled", 2.5)
    unknown = chat.error("one", ModelUnknown("gpt-9", (known.name for known in registry.MODELS)))
    assert (unknown["code"], unknown["field"]) == ("invalid_model", "model")
    assert "gpt-4.1-nano" in unknown["message"]
    spent = chat.error("one", BudgetSpent("spent", code="budget_spent", limit="tomorrow"))
    assert (spent["code"], spent["limit"]) == ("budget_spent", "tomorrow")
    assert chat.error("one", GatewayRejected("no", status=401))["code"] == "model_unavailable"


def test_an_error_nobody_foresaw_does_not_quote_itself() -> None:
    told = chat.error(None, ValueError("a secret"))
    assert told["code"] == "failed"
    assert "secret" not in json.dumps(told)


def test_half_a_surrogate_pair_can_be_sent() -> None:
    assert json.loads(chat.written(chat.token("one", 0, "a\ud83d")))["content"] == "a?"


@pytest.mark.parametrize(
    ("failure", "code", "status"),
    [
        (ModelUnavailable("down"), "model_unavailable", 502),
        (GatewayRejected("no", status=401), "model_unavailable", 502),
        (ModelThrottled("full", retry_after_seconds=2), "throttled", 429),
        (ModelTimedOut("late"), "timed_out", 504),
        (ModelRefused("no"), "refused", 400),
        (PromptTooLong("long"), "prompt_too_long", 400),
    ],
)
def test_every_way_a_model_gives_no_answer_says_its_code_and_its_status(
    failure: VoteUnavailable, code: str, status: int
) -> None:
    assert (failure.code, failure.http_status) == (code, status)
    assert (failure.field == "prompt") is (status == 400)
    assert chat.error("r-1", failure)["code"] == code
