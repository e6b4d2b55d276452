"""The tokens that vendors bill, read from their own reports."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core import registry
from quorum.gateway.usage import usage

CACHED: dict[str, Any] = {"prompt_tokens_details": {"cached_tokens": 300}}
REASONED: dict[str, Any] = {"completion_tokens_details": {"reasoning_tokens": 70}}


def _openai(given: int, output: int, total: int | None = None, **more: Any) -> dict[str, Any]:
    summed = {} if total is None else {"total_tokens": total}
    return {"prompt_tokens": given, "completion_tokens": output} | summed | more


EXACT = [
    ("plain", _openai(400, 90, 490), (400, 0, 90, 0)),
    ("without a total", _openai(400, 90), (400, 0, 90, 0)),
    ("OpenAI's details", _openai(400, 90, 490, **CACHED, **REASONED), (400, 300, 90, 70)),
    ("details that are null", _openai(400, 90, 490, prompt_tokens_details=None), (400, 0, 90, 0)),
    (
        "DeepSeek's cache",
        _openai(400, 90, 490, prompt_cache_hit_tokens=256, prompt_cache_miss_tokens=144),
        (400, 256, 90, 0),
    ),
    (
        "DeepSeek, twice told",
        _openai(400, 90, 490, prompt_cache_hit_tokens=300, **CACHED),
        (400, 300, 90, 0),
    ),
    ("Moonshot's cache", _openai(400, 90, 490, cached_tokens=128), (400, 128, 90, 0)),
    ("LiteLLM, beside", _openai(25, 90, 3115, cache_read_input_tokens=3000), (3025, 3000, 90, 0)),
    (
        "LiteLLM, beside, no total",
        _openai(25, 90, cache_read_input_tokens=3000),
        (3025, 3000, 90, 0),
    ),
    ("LiteLLM, inside", _openai(3025, 90, 3115, cache_read_input_tokens=3000), (3025, 3000, 90, 0)),
    (
        "LiteLLM, inside and twice told",
        _openai(400, 90, 490, cache_read_input_tokens=300, cache_creation_input_tokens=0, **CACHED),
        (400, 300, 90, 0),
    ),
    (
        "Anthropic's own names",
        {"input_tokens": 25, "output_tokens": 90, "cache_read_input_tokens": 3000},
        (3025, 3000, 90, 0),
    ),
    (
        "Anthropic's own names, a short cache",
        {"input_tokens": 250, "output_tokens": 90, "cache_read_input_tokens": 30},
        (280, 30, 90, 0),
    ),
    (
        "OpenAI's Responses",
        {
            "input_tokens": 400,
            "output_tokens": 90,
            "total_tokens": 490,
            "input_tokens_details": {"cached_tokens": 300},
            "output_tokens_details": {"reasoning_tokens": 70},
        },
        (400, 300, 90, 70),
    ),
    ("Gemini's thoughts", _openai(400, 90, 1290), (400, 0, 890, 800)),
    ("Gemini's thoughts and its cache", _openai(400, 90, 1290, **CACHED), (400, 300, 890, 800)),
    ("xAI's reasoning", _openai(400, 20, 490, **REASONED), (400, 0, 90, 70)),
    ("xAI's reasoning, twice the answer", _openai(400, 90, 560, **REASONED), (400, 0, 160, 70)),
    ("reasoning larger than the answer", _openai(400, 20, **REASONED), (400, 0, 90, 70)),
]
ESTIMATED = [
    ("nothing at all", _openai(0, 0, 0), (0, 0, 0, 0)),
    ("a prompt of nothing", _openai(0, 90, 90), (0, 0, 0, 0)),
    ("a cache beside or inside", _openai(400, 90, cache_read_input_tokens=300), (700, 300, 90, 0)),
    (
        "tokens written to a cache",
        _openai(25, 90, 3115, cache_creation_input_tokens=3000),
        (3025, 0, 90, 0),
    ),
    ("a total that is too small", _openai(400, 90, 300), (400, 0, 90, 0)),
    ("a cache that cannot be", _openai(400, 90, 490, prompt_cache_hit_tokens=-3), (400, 0, 90, 0)),
    (
        "details that cannot be",
        _openai(400, 90, 490, prompt_tokens_details={"cached_tokens": "many"}),
        (400, 0, 90, 0),
    ),
    ("a total that is no number", _openai(400, 90) | {"total_tokens": "490"}, (400, 0, 90, 0)),
    (
        "two sets of names",
        _openai(0, 0, 0, input_tokens=400, output_tokens=90),
        (400, 0, 90, 0),
    ),
    ("a total nothing explains", _openai(400, 90, 600, **REASONED), (400, 0, 200, 180)),
]
NONE_AT_ALL: list[Any] = [
    None,
    [],
    "12",
    {},
    {"prompt_tokens": 400},
    {"prompt_tokens": "400", "completion_tokens": 90},
    {"prompt_tokens": 400.5, "completion_tokens": 90},
    {"prompt_tokens": True, "completion_tokens": 90},
    _openai(-400, 90),
    _openai(10**30, 90),
    {"prompt_tokens": None, "completion_tokens": None},
]


def _read(reported: Any) -> tuple[tuple[int, ...], bool]:
    found = usage(reported)
    assert found is not None
    tokens = found.tokens
    return (tokens.input, tokens.cached_input, tokens.output, tokens.reasoning), found.exact


@pytest.mark.parametrize(
    ("reported", "tokens"), [row[1:] for row in EXACT], ids=[row[0] for row in EXACT]
)
def test_every_vendors_report_is_read_to_the_token(reported: Any, tokens: tuple[int, ...]) -> None:
    assert _read(reported) == (tokens, True)


@pytest.mark.parametrize(
    ("reported", "tokens"), [row[1:] for row in ESTIMATED], ids=[row[0] for row in ESTIMATED]
)
def test_what_a_report_leaves_open_is_the_most_it_can_mean_and_marked(
    reported: Any, tokens: tuple[int, ...]
) -> None:
    assert _read(reported) == (tokens, False)


@pytest.mark.parametrize("reported", NONE_AT_ALL, ids=str)
def test_a_report_that_does_not_say_what_was_billed_is_none(reported: Any) -> None:
    assert usage(reported) is None


def test_tokens_from_a_cache_beside_the_prompt_cost_a_tenth() -> None:
    price = registry.model("claude-sonnet-4.5").price
    found = usage(_openai(20, 100, 2120, cache_read_input_tokens=2000))
    assert found is not None
    # 20 at $3.00, 2,000 at $0.30 and 100 at $15.00 a million
    assert price.cost(found.tokens) == Decimal("0.00216")


_NUMBERS = st.integers() | st.floats() | st.none() | st.booleans() | st.text(max_size=3)
_NAMES = st.sampled_from(
    [
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "cached_tokens",
        "prompt_cache_hit_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
        "reasoning_tokens",
    ]
)
_DETAILS = st.sampled_from(["prompt_tokens_details", "completion_tokens_details"])
_FLAT = st.dictionaries(_NAMES, st.integers(0, 500) | _NUMBERS)


@given(_FLAT, st.dictionaries(_DETAILS, _FLAT | _NUMBERS))
def test_no_report_breaks_the_reading_and_no_part_is_larger_than_the_whole(
    flat: dict[str, Any], details: dict[str, Any]
) -> None:
    found = usage(flat | details)
    if found is not None:
        assert 0 <= found.tokens.cached_input <= found.tokens.input
        assert 0 <= found.tokens.reasoning <= found.tokens.output
        assert found.tokens.input > 0 or not found.exact


@given(st.integers(1, 10**5), st.integers(0, 10**5), st.integers(0, 10**5))
def test_cached_tokens_never_cost_more_than_tokens_that_are_not(
    given_: int, output: int, cached: int
) -> None:
    price = registry.model("claude-sonnet-4.5").price
    reported = _openai(given_, output, given_ + output + cached, cache_read_input_tokens=cached)
    found = usage(reported)
    assert found is not None
    fresh = usage(_openai(given_ + cached, output, given_ + output + cached))
    assert fresh is not None
    assert price.cost(found.tokens) <= price.cost(fresh.tokens)


def test_a_whole_number_may_be_written_with_a_point() -> None:
    report = {"prompt_tokens": 400.0, "completion_tokens": 90.0, "total_tokens": 490.0}
    assert _read(report) == ((400, 0, 90, 0), True)
