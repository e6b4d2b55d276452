"""Clients written for a gateway, unchanged, at the addresses of the deployed API."""

import asyncio
from decimal import Decimal
from secrets import token_hex
from typing import Any

import httpx
import pytest
from quorum.aws.keys import Caller

from fakes.gateway import Fault, ModelScenario, StandIn
from local.state import Stack
from tests.clients import ChatClient, ModerationAgent, SocketClient
from tests.e2e.conftest import Api, Recorded, says

SAFE = ModelScenario(reply='{"decision": "safe", "confidence": 0.9, "reason": "kind"}')
UNSAFE = ModelScenario(
    reply='```json\n{"decision": "unsafe", "confidence": 0.9, "reason": "threat"}\n```'
)
IN_WORDS = ModelScenario(reply="Decision: unsafe. Confidence: 0.8, I think.")


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """A tenant's own, so that its counters are of these tests alone."""
    return stack.new_key(Caller(tenant="published"))


def behave(stand_in: StandIn, *script: Fault, **models: ModelScenario) -> None:
    named = {name.replace("_", "."): model for name, model in models.items()}
    changes = {"models": named, "every_model": SAFE, "script": script}
    stand_in.scenario = stand_in.scenario.model_copy(update=changes)


def booked(stack: Stack, key: str) -> dict[str, Any]:
    totals: dict[str, Any] = Api(stack, key).get("costs").json()["totals"]
    return totals


def test_the_agent_weighs_the_answers_that_are_booked_to_its_tenant(
    stack: Stack, key: str, stand_in: StandIn
) -> None:
    panel = {"gpt-4.1": IN_WORDS, "gemini-2.5-flash": UNSAFE, "deepseek-v3.2": SAFE}
    stand_in.scenario = stand_in.scenario.model_copy(update={"models": panel})
    before = booked(stack, key)

    async def judged() -> Any:
        async with ModerationAgent(stack.api, key) as agent:
            assert panel.keys() <= set(await agent.models())
            return await agent.moderate(f"I will find you, {token_hex(4)}.")

    verdict = asyncio.run(judged())
    assert [vote.decision for vote in verdict.votes] == ["unsafe", "unsafe", "safe"]
    assert verdict.decision == "unsafe"  # 0.3 × 0.8 + 0.4 × 0.9
    after = booked(stack, key)
    tokens = sum(after[f"{way}_tokens"] - before[f"{way}_tokens"] for way in ("input", "output"))
    assert sum(vote.tokens for vote in verdict.votes) == tokens > 0
    assert after["open_calls"] == 0


def test_its_batch_comes_in_order_and_a_429_of_the_gateway_does_not_reach_it(
    stack: Stack, key: str, stand_in: StandIn
) -> None:
    behave(stand_in, Fault.THROTTLED)
    heard: list[int] = []
    run = token_hex(4)

    async def judged() -> Any:
        async with ModerationAgent(stack.api, key) as agent:
            texts = [f"{run}, text {number}" for number in range(4)]
            return await agent.moderate_all(texts, heard.append, at_once=2)

    verdicts = asyncio.run(judged())
    assert [verdict.decision for verdict in verdicts] == ["safe"] * 4
    assert heard == [1, 2, 3, 4]


def test_a_stranger_is_told_so_and_gets_no_vote(stack: Stack) -> None:
    async def asked() -> Any:
        async with ModerationAgent(stack.api, "sk-of-elsewhere") as agent:
            with pytest.raises(PermissionError):
                await agent.models()
            return await agent.moderate("a text")

    assert asyncio.run(asked()).decision == "error"


def test_the_chat_client_streams_and_asks_many_and_hears_of_each_failure(
    stack: Stack, key: str, stand_in: StandIn
) -> None:
    reply = "It is the sunlight, scattered."
    stand_in.scenario = stand_in.scenario.model_copy(
        update={"every_model": ModelScenario(reply=reply)}
    )

    async def asked() -> tuple[str, list[str | BaseException]]:
        async with ChatClient(stack.api, key) as client:
            streamed = "".join([piece async for piece in client.stream("Why is the sky blue?")])
            prompts = [f"{token_hex(4)}?", "x" * 40_000, "", f"{token_hex(4)}?"]
            return streamed, await client.answer_all(prompts, at_once=2, max_tokens=50)

    streamed, answers = asyncio.run(asked())
    assert streamed == reply
    assert [answers[index] for index in (0, 1, 3)] == [reply] * 3
    refused = answers[2]
    assert refused == reply or isinstance(refused, httpx.HTTPStatusError)


def test_a_stream_that_is_cut_at_the_gateway_never_looks_whole(
    stack: Stack, key: str, stand_in: StandIn
) -> None:
    behave(stand_in, *[Fault.CUT] * 8)

    async def heard() -> None:
        async with ChatClient(stack.api, key) as client:
            async for _ in client.stream(f"Why, {token_hex(4)}?"):
                pass

    with pytest.raises((EOFError, httpx.HTTPStatusError)):
        asyncio.run(heard())


def test_the_client_of_a_websocket_bridge_gets_tokens_then_the_whole_and_its_usage(
    stack: Stack, key: str, stand_in: StandIn
) -> None:
    reply = "It is the sunlight, scattered."
    stand_in.scenario = stand_in.scenario.model_copy(
        update={"every_model": ModelScenario(reply=reply)}
    )
    with SocketClient(stack.chat, key) as client:
        first = client.ask("Why is the sky blue?")
        second = client.ask("And at night?")
        assert "".join(first.tokens) == "".join(second.tokens) == reply
        assert len(first.tokens) >= 1
        assert first.complete["full_response"] == reply
        usage = first.complete["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
        with pytest.raises(ValueError, match="prompt"):
            client.ask("")


def test_a_verdict_of_one_request_is_the_panels_that_the_agent_weighs_itself(
    stack: Stack, key: str, recorded: Recorded
) -> None:
    bad = says(
        recorded, f"I will find you {token_hex(4)}", gpt_4_1="unsafe", gemini_2_5_flash="unsafe"
    )
    answer = httpx.post(
        f"{stack.api}/verdicts",
        headers={"authorization": f"Bearer {key}"},
        json={"content": bad},
        timeout=60,
    ).json()
    assert answer["decision"] == "unsafe"
    assert {vote["model"] for vote in answer["votes"]} >= {"gpt-4.1", "gemini-2.5-flash"}
    assert Decimal(answer["cost_usd"]) > 0
