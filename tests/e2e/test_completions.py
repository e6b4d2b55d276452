"""The OpenAI SDK at the deployed API: whole answers, streamed ones, the cache and the ledger."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import openai
import pytest
from quorum.aws.keys import Caller

from fakes.gateway import ModelScenario, StandIn
from local.state import Stack
from tests.e2e.conftest import Api

MODEL = "gpt-4.1-nano"


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A tenant's own, so that its counters are of these tests alone."""
    return stack.new_key(Caller(tenant="completions", role="member"))


@pytest.fixture
def sdk(stack: Stack, key: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=stack.api, api_key=key, max_retries=0, timeout=60) as client:
        yield client


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_the_openai_sdk_gets_whole_and_streamed_answers_and_the_ledger_agrees(
    sdk: openai.OpenAI, stack: Stack, key: str, stand_in: StandIn
) -> None:
    before = stand_in.count.cost_usd
    whole = sdk.chat.completions.create(model=MODEL, messages=said("one"), temperature=0)
    text = whole.choices[0].message.content
    assert text
    assert whole.usage is not None
    streamed = sdk.chat.completions.create(
        model=MODEL,
        messages=said("two"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(streamed)
    assert "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices
    ).strip()
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    again = sdk.chat.completions.create(model=MODEL, messages=said("one"), temperature=0)
    assert again.choices[0].message.content == text
    assert again.model_extra is not None
    assert again.model_extra["cached"] is True
    assert stand_in.count.requests > 0
    costs = Api(stack, key).get("costs").json()
    assert Decimal(costs["totals"]["cost_usd"]) == stand_in.count.cost_usd - before > 0
    assert costs["totals"]["open_calls"] == 0


def test_the_same_question_from_several_lambdas_at_once_is_asked_once(
    sdk: openai.OpenAI, stack: Stack, key: str, stand_in: StandIn
) -> None:
    api = Api(stack, key)
    before = api.get("stats").json()
    slow = ModelScenario(latency_ms=1500)
    stand_in.scenario = stand_in.scenario.model_copy(update={"every_model": slow})
    asked = stand_in.count.requests

    def ask(_: int) -> Any:
        return sdk.chat.completions.create(model=MODEL, messages=said("three"), temperature=0)

    with ThreadPoolExecutor(4) as at_once:
        answers = list(at_once.map(ask, range(4)))
    assert stand_in.count.requests == asked + 1
    assert len({answer.choices[0].message.content for answer in answers}) == 1
    counted = api.get("stats").json()
    assert counted["hits"] == before["hits"] + 3
    assert counted["misses"] == before["misses"] + 1


def test_the_sdk_raises_what_was_wrong(sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        sdk.chat.completions.create(model="gpt-9", messages=said("four"))
    assert "gpt-4.1" in caught.value.message
    stranger: Any = sdk.with_options(api_key="nobody's")
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model=MODEL, messages=said("five"))
