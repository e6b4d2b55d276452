"""Answers of gateways are read without raising, whatever they contain."""

import json
from typing import Any

import pytest
from quorum.gateway import wire


def _logprobs(**entry: Any) -> tuple[wire.TokenLogProbability, ...]:
    entries = [{"token": "{", "logprob": -0.1}, {"token": "safe", "logprob": -0.2} | entry]
    return wire.log_probabilities(json.loads(json.dumps({"content": entries})))


@pytest.mark.parametrize(
    "entry",
    [
        {"logprob": float("nan")},
        {"logprob": float("inf")},
        {"logprob": 5000},
        {"logprob": 10**400},
        {"logprob": -(10**400)},
        {"logprob": True},
        {"logprob": None},
        {"logprob": "-0.2"},
        {"bytes": [10**30]},
        {"bytes": [-1]},
        {"bytes": ["a"]},
        {"token": None},
        {"token": 7},
    ],
    ids=str,
)
def test_one_token_that_cannot_be_makes_all_of_them_unknown(entry: dict[str, Any]) -> None:
    assert _logprobs(**entry) == ()


@pytest.mark.parametrize(
    ("entry", "token"),
    [
        ({}, b"safe"),
        ({"bytes": None}, b"safe"),
        ({"bytes": []}, b"safe"),
        ({"bytes": 10**9}, b"safe"),
        ({"bytes": [0xEC, 0x95]}, b"\xec\x95"),
        ({"token": "\ud83d"}, "\ufffd".encode()),
        ({"logprob": 1e-6}, b"safe"),
        ({"logprob": -9999.0}, b"safe"),
    ],
    ids=str,
)
def test_a_token_is_its_bytes_else_its_text(entry: dict[str, Any], token: bytes) -> None:
    assert _logprobs(**entry)[-1].token == token


@pytest.mark.parametrize(
    "sent", [None, [], 7, {"content": 7}, {"content": {"a": 1}}, {"content": [1]}]
)
def test_log_probabilities_of_another_form_are_none(sent: object) -> None:
    assert wire.log_probabilities(sent) == ()


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ({"refusal": "No."}, "No."),
        ({"refusal": None, "content": "yes"}, None),
        ({"refusal": ""}, None),
        ({"content": [{"type": "refusal", "refusal": "No."}]}, "No."),
        ({"content": [{"type": "text", "text": "I"}, {"type": "refusal"}]}, "refused"),
        ({"content": [{"type": "text", "text": "yes"}, None]}, None),
    ],
    ids=str,
)
def test_a_refusal_is_in_its_field_or_in_a_part(message: dict[str, Any], refusal: str) -> None:
    assert wire.refusal_of(message) == refusal


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("yes", "yes"),
        (None, ""),
        (7, ""),
        ([{"type": "text", "text": "y"}, {"text": "es"}], "yes"),
        ([{"type": "thinking", "text": "no"}, {"type": "text", "text": "yes"}], "yes"),
        ([{"type": "reasoning", "text": "no"}, {"type": "refusal", "refusal": "no"}], ""),
        ([{"type": "text", "text": 7}, None, "no"], ""),
        ("half \ud83d", "half \ufffd"),
        (["whole"], ""),
    ],
    ids=str,
)
def test_the_text_of_an_answer_is_its_parts_of_text_and_no_others(
    content: object, text: str
) -> None:
    assert wire.text_of(content) == text


USAGE = {
    "prompt_tokens": 364,
    "completion_tokens": 45,
    "total_tokens": 409,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
ANSWERED = b'{"choices": [], "usage": ' + json.dumps(USAGE).encode()
TOTAL_CAME = ANSWERED.index(b', "prompt_tokens_details') + 1


@pytest.mark.parametrize("end", range(ANSWERED.index(b'"usage"'), len(ANSWERED)))
def test_a_usage_that_breaks_off_counts_as_soon_as_its_total_has_arrived(end: int) -> None:
    found = wire.usage_in_part(ANSWERED[:end])
    assert (found is not None) == (end >= TOTAL_CAME)
    if found is not None:
        assert not found.exact
        assert (found.tokens.input, found.tokens.output) == (364, 45)
        assert found.tokens.cached_input in {0, 64}


def test_what_a_total_does_not_explain_is_counted_where_the_rest_is_missing() -> None:
    part = b'{"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 100, "com'
    found = wire.usage_in_part(part)
    assert found is not None
    assert found.tokens.total == 100


@pytest.mark.parametrize(
    "part",
    [
        b'"usage": {,',
        b'"usage": [1, 2,',
        b'"usage": {"total_tokens": 5,',
        b'{"a": 1, "b": {"c": 2,',
    ],
)
def test_what_is_no_usage_states_nothing(part: bytes) -> None:
    assert wire.usage_in_part(part) is None
