"""The meaning of gateways' errors, in the forms that vendors give them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.gateway import problems, retry_after, wire
from quorum.gateway.finish import Finish
from quorum.gateway.problems import Kind
from quorum.gateway.stream import Stream

BLOCKED: list[tuple[str, int, Any]] = [
    ("OpenAI", 400, {"error": {"message": "no", "type": "invalid_request_error",
                               "code": "content_policy_violation"}}),
    ("OpenAI's invalid prompt", 400, {"error": {"message": "usage", "code": "invalid_prompt"}}),
    ("Azure", 400, {"error": {"message": "The response was filtered", "code": "content_filter",
                              "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    ("Azure, by the inner code alone", 400,
     {"error": {"message": "no", "code": "BadRequest",
                "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
    ("DeepSeek", 400, {"error": {"message": "Content Exists Risk", "param": None,
                                 "code": "invalid_request_error"}}),
    ("DeepSeek of old", 400, {"detail": "Content Exists Risk"}),
    ("Qwen", 400, {"error": {"code": "data_inspection_failed", "message": "Input data may contain"
                             " inappropriate content."}}),
    ("Qwen's own form", 400, {"code": "DataInspectionFailed", "message": "Output data may …"}),
    ("Zhipu", 400, {"error": {"code": "1301", "message": "不安全或敏感内容"}}),
    ("OpenRouter", 403, {"error": {"code": 403, "message": "Your chosen model requires moderation",
                                   "metadata": {"reasons": ["hate"], "flagged_input": "…"}}}),
    ("a proxy's server error", 500,
     {"error": {"message": "litellm.ContentPolicyViolationError: no", "code": "500"}}),
    ("OpenAI, in words", 400, {"error": {"message": "Your request was rejected as a result of our"
                                         " safety system.", "type": "invalid_request_error"}}),
    ("Gemini, in words", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT",
                                          "message": "The request has prohibited content"}}]),
    ("Moonshot", 400, {"error": {"message": "The request was considered high risk"}}),
    ("Mistral", 400, {"object": "error", "message": "Content policy violation", "code": 3240}),
    ("xAI", 403, {"code": "The caller may not", "error": "Content violates usage guidelines."
                                                        " Failed check: SAFETY_CHECK_TYPE_X"}),
    ("a proxy's guardrail", 422, {"detail": "Prompt blocked by guardrail"}),
    ("a guardrail in a nested message", 400,
     {"error": {"message": {"error": "Content blocked: hate", "type": "guardrail"}}}),
    ("Portkey", 446, {"error": {"message": "The checks failed.", "type": "hooks_failed"}}),
    ("an account's name in a blocked post", 400,
     {"error": {"code": "content_filter", "message": "“your account is suspended” was filtered"}}),
    ("a list", 400, [{"error": {"status": "PROHIBITED_CONTENT", "message": "no"}}]),
]  # fmt: skip
OTHERS: list[tuple[str, int, Any, Kind]] = [
    ("a bad request", 400, {"error": {"code": "invalid_request_error"}}, Kind.REJECTED),
    ("a bad parameter", 422, {"detail": [{"loc": ["body"], "msg": "field"}]}, Kind.REJECTED),
    ("a wrong key", 401, {"error": {"code": "invalid_api_key"}}, Kind.DENIED),
    ("a wrong key that a filter is named in", 401, {"error": {"message": "content_filter"}},
     Kind.DENIED),
    ("no credit", 402, {"error": {"message": "Insufficient Balance"}}, Kind.DENIED),
    ("no quota left", 429, {"error": {"code": "insufficient_quota"}}, Kind.DENIED),
    ("no right", 403, {"error": {"code": "permission_denied"}}, Kind.DENIED),
    ("no such model", 404, {"error": {"code": "model_not_found"}}, Kind.DENIED),
    ("a redirect", 307, "", Kind.DENIED),
    ("an account that is shut out", 403, {"error": {"code": "account_blocked", "message":
     "Your account is blocked due to policy violations"}}, Kind.DENIED),
    ("an organisation that is shut out", 400, {"error": {"message":
     "This organization has been disabled for violating our policies."}}, Kind.DENIED),
    ("Gemini's wrong key", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
     "API key not valid. Please pass a valid API key."}}], Kind.DENIED),
    ("Qwen without credit", 400, {"error": {"code": "Arrearage"}}, Kind.DENIED),
    ("too fast", 429, {"error": {"code": "rate_limit_exceeded"}}, Kind.THROTTLED),
    ("too fast, in prose", 429, "<html>slow down, content_filter</html>", Kind.THROTTLED),
    ("down", 503, "<html>", Kind.DOWN),
    ("overloaded", 529, {"type": "error", "error": {"type": "overloaded_error"}}, Kind.DOWN),
    ("a conflict", 409, {}, Kind.PASSING),
    ("too long, by OpenAI's code", 400, {"error": {"code": "context_length_exceeded"}},
     Kind.TOO_LONG),
    ("too long, in words", 400, {"error": {"code": "invalid_request_error", "message":
     "This model's maximum context length is 65536 tokens. You asked for 70000."}}, Kind.TOO_LONG),
    ("too long, Gemini", 400, [{"error": {"code": 400, "status": "INVALID_ARGUMENT", "message":
     "The input token count (1200000) exceeds the maximum number of tokens allowed"}}],
     Kind.TOO_LONG),
    ("too long, llama.cpp", 400, {"error": {"type": "exceed_context_size_error"}}, Kind.TOO_LONG),
    ("too large", 413, "", Kind.TOO_LONG),
]  # fmt: skip


def _of(status: int, body: Any, **headers: str) -> problems.Problem:
    sent = body if isinstance(body, str) else json.dumps(body)
    return problems.of_status(status, sent.encode(), headers)


@pytest.mark.parametrize(
    ("status", "body"), [row[1:] for row in BLOCKED], ids=[row[0] for row in BLOCKED]
)
def test_what_a_filter_blocked_is_told_from_every_other_error(status: int, body: Any) -> None:
    assert _of(status, body).kind is Kind.BLOCKED


@pytest.mark.parametrize(
    ("status", "body", "kind"), [row[1:] for row in OTHERS], ids=[row[0] for row in OTHERS]
)
def test_an_error_is_what_its_status_and_its_code_say(status: int, body: Any, kind: Kind) -> None:
    assert _of(status, body).kind is kind


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        ({"choices": None, "error": {"code": 429, "message": "busy"}}, Kind.THROTTLED, 429),
        ({"error": {"code": "rate_limit_exceeded"}}, Kind.THROTTLED, 429),
        ({"error": {"status": "RESOURCE_EXHAUSTED"}}, Kind.THROTTLED, 429),
        ({"error": {"code": "502", "message": "bad gateway"}}, Kind.DOWN, 502),
        ({"error": "overloaded"}, Kind.DOWN, 500),
        ({"error": {"code": 401}}, Kind.DENIED, 401),
        ({"error": {"type": "authentication_error"}}, Kind.DENIED, 401),
        ({"object": "error", "message": "no", "code": 400}, Kind.REJECTED, 400),
        ([{"error": {"code": 503}}], Kind.DOWN, 503),
        ({"code": 429, "message": "busy", "data": None}, Kind.THROTTLED, 429),
        ({"status": "RESOURCE_EXHAUSTED", "message": "busy"}, Kind.THROTTLED, 429),
        ({"type": "rate_limit_error", "msg": "busy"}, Kind.THROTTLED, 429),
        ({"detail": "Internal Server Error"}, Kind.DOWN, 500),
        ({"detail": "Too Many Requests"}, Kind.THROTTLED, 429),
        ({"error": "rate limit exceeded"}, Kind.THROTTLED, 429),
        (
            {"success": False, "errors": [{"code": 3040, "message": "No capacity"}]},
            Kind.THROTTLED,
            429,
        ),
        ({"base_resp": {"status_code": 1002, "status_msg": "limit"}}, Kind.THROTTLED, 429),
        ({"base_resp": {"status_code": 1008, "status_msg": "balance"}}, Kind.DENIED, 402),
        (
            {
                "choices": [
                    {
                        "message": {"content": ""},
                        "finish_reason": "error",
                        "error": {"code": 429, "message": "upstream"},
                    }
                ]
            },
            Kind.THROTTLED,
            429,
        ),
        ({"choices": [{"error": {"code": 502}, "message": {"content": ""}}]}, Kind.DOWN, 502),
    ],
    ids=str,
)
def test_an_error_inside_an_answer_is_what_it_would_be_by_its_status(
    body: Any, kind: Kind, status: int
) -> None:
    found = wire.received(json.dumps(body).encode())
    assert found.answer is None
    assert found.problem is not None
    assert (found.problem.kind, found.problem.status) == (kind, status)
    assert not found.answered


GEMINI = {"prompt_tokens": 31, "completion_tokens": 0, "total_tokens": 31}


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "usage": GEMINI},
        {"choices": None, "usage": GEMINI},
        {"choices": [{"index": 0, "message": None}], "usage": GEMINI},
        {"choices": [{"finish_reason": "SAFETY", "message": None}], "usage": GEMINI},
        {"choices": [{"finish_reason": "RECITATION", "message": {"content": ""}}], "usage": GEMINI},
        {"choices": [{"finish_reason": "stop", "message": {"content": "x"},
                      "content_filter_results": {"hate": {"filtered": True, "severity": "high"}}}],
         "usage": GEMINI},
        {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results":
                                    {"jailbreak": {"filtered": True, "detected": True}}}],
         "choices": [{"message": {"content": ""}}], "usage": GEMINI},
        {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usage": GEMINI},
        {"detail": "Content Exists Risk", "usage": GEMINI},
        {"error": {"code": "content_filter"}, "choices": [], "usage": GEMINI},
        {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}, "usage": GEMINI},
        {"input_sensitive": True, "choices": [{"message": {"content": ""}}], "usage": GEMINI},
        {"output_sensitive": True, "choices": [{"message": {"content": "x"}}], "usage": GEMINI},
        {"type": "message", "content": [], "stop_reason": "refusal", "usage": GEMINI},
        {"choices": [{"finish_reason": "stop", "native_finish_reason": "SAFETY",
                      "message": {"content": ""}}], "usage": GEMINI},
        {"choices": [{"finish_reason": "error", "native_finish_reason": "PROHIBITED_CONTENT",
                      "message": {"content": ""}}], "usage": GEMINI},
        {"choices": [{"finish_reason": "ERROR_TOXIC", "message": {"content": ""}}],
         "usage": GEMINI},
        {"choices": [{"finish_reason": "error", "message": {"content": ""}, "error":
                      {"code": 403, "metadata": {"reasons": ["hate"]}}}], "usage": GEMINI},
    ],
    ids=str,
)  # fmt: skip
def test_an_answer_that_a_filter_blocked_is_an_answer_and_billed_as_it_says(body: Any) -> None:
    found = wire.received(json.dumps(body).encode())
    assert found.problem is None
    assert found.answer is not None
    assert found.answer.finish is Finish.FILTERED
    assert found.answer.usage is not None
    assert found.answer.usage.tokens.input == 31


@pytest.mark.parametrize(
    "results",
    [
        {"hate": {"filtered": False, "severity": "low"}},
        {"jailbreak": {"filtered": False, "detected": True}},
        {"hate": None},
        [],
        None,
    ],
    ids=str,
)
def test_a_filter_that_let_an_answer_pass_blocks_nothing(results: Any) -> None:
    choice = {"message": {"content": "yes"}, "content_filter_results": results}
    body = {"choices": [choice], "prompt_filter_results": [{"content_filter_results": results}]}
    found = wire.received(json.dumps(body).encode())
    assert found.answer is not None
    assert (found.answer.text, found.answer.finish) == ("yes", Finish.WHOLE)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[" * 100_000,
        b'{"choices":' + b"[" * 100_000,
        b'{"choices": [{"message": 7}]}',
        b'{"choices": [7]}',
        b'{"choices": {"a": 1}}',
        b'{"choices": [{"message": {"content": "x"}}], "usage": ' + b"9" * 5_000 + b"}",
        b"\xff\xfe",
        b"[]",
        b"7",
    ],
    ids=lambda body: repr(body[:20]),
)
def test_what_is_no_answer_is_none_and_raises_nothing(body: bytes) -> None:
    assert wire.received(body).answer is None


def test_a_refusal_and_a_model_that_are_no_text_do_no_harm() -> None:
    body = {
        "model": ["x"],
        "choices": [{"message": {"content": "y", "refusal": {"because": 1}}}],
    }
    found = wire.received(json.dumps(body).encode()).answer
    assert found is not None
    assert (found.model, found.refusal) == (None, "refused")
    body["model"], body["choices"] = "m" * 1000, [{"message": {"content": "y", "refusal": None}}]
    found = wire.received(json.dumps(body).encode()).answer
    assert found is not None
    assert (found.model, found.refusal) == ("m" * 128, None)


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "7"}, {}, 7),
        ({"retry-after": "1.5"}, {}, 1.5),
        ({"retry-after": "20s"}, {}, 20),
        ({"retry-after-ms": "700"}, {}, 0.7),
        ({"retry-after-ms": "700", "retry-after": "9"}, {}, 0.7),
        ({"retry-after": "-3"}, {}, 0),
        ({"retry-after": "Mon, 01 Jan 2001 00:00:00 GMT"}, {}, 0),
        ({"retry-after": "1e9"}, {}, 86_400),
        ({"retry-after": "Fri, 01 Jan 2100 00:00:00 GMT"}, {}, 86_400),
        ({"retry-after": "nan"}, {}, None),
        ({"retry-after": "soon"}, {}, None),
        ({"retry-after": "9" * 5_000}, {}, None),
        ({"retry-after": "Mon, 01 Jan 99999 00:00:00 GMT"}, {}, None),
        ({}, {"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo",
                                     "retryDelay": "2.5s"}]}}, 2.5),
        ({}, {"error": {"details": [{"@type": "RetryInfo", "retryDelay": 7}, None]}}, None),
        ({}, {}, None),
    ],
    ids=str,
)  # fmt: skip
def test_a_throttled_call_waits_as_long_as_it_is_told(
    headers: dict[str, str], body: Any, seconds: float | None
) -> None:
    assert _of(429, body, **headers).retry_after_seconds == seconds


def test_what_is_said_of_an_error_quotes_no_message() -> None:
    found = _of(400, {"error": {"code": "the secret content", "message": "the secret content"}})
    assert found.said == "400"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["error", "code", "message", "choices", "usage", "delta", "content", "finish_reason",
             "logprobs", "bytes", "logprob", "token", "refusal", "model", "index", "details",
             "prompt_tokens", "completion_tokens", "prompt_tokens_details", "cached_tokens",
             "prompt_filter_results", "content_filter_results", "promptFeedback", "base_resp"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.binary() | JSON.map(lambda read: json.dumps(read).encode()), st.integers(100, 999))
def test_nothing_that_a_gateway_sends_raises(body: bytes, status: int) -> None:
    found = wire.received(body)
    assert found.answer is None or found.problem is None
    problems.of_status(status, body, {"retry-after": repr(body[:9])})
    stream = Stream()
    for event in (b"data: " + body + b"\n\n", b"event: error\ndata: " + body + b"\n\n", body):
        stream.feed(event)
    stream.close()
    retry_after.seconds({"retry-after": body.decode("latin-1")})


def test_a_status_that_no_vendor_sends_is_a_problem_and_no_error_of_the_reader() -> None:
    odds: list[object] = [[], {}, [1002]]
    for odd in odds:
        found = problems.inside({"base_resp": {"status_code": odd}})
        assert found is not None
        assert found.kind is Kind.DOWN
