"""Clients written for a gateway, at the stand-in; they must do the same at Quorum."""

import asyncio
from typing import Any

import httpx
import pytest

from fakes.gateway import Fault, ModelScenario
from tests.clients import PRICES, ChatClient, ModerationAgent, Vote, read_vote, weigh

SAFE = ModelScenario(reply='{"decision": "safe", "confidence": 0.9, "reason": "kind"}')
UNSAFE = ModelScenario(
    reply='```json\n{"decision": "unsafe", "confidence": 0.9, "reason": "threat"}\n```'
)
IN_WORDS = ModelScenario(reply="Decision: unsafe. Confidence: 0.8, I think.")


def test_the_agent_weighs_three_models_that_are_asked_at_once(stand_in: Any) -> None:
    there = stand_in(
        models={"gpt-4.1": IN_WORDS, "gemini-2.5-flash": UNSAFE, "deepseek-v3.2": SAFE}
    )

    async def judged() -> Any:
        async with ModerationAgent(there.base_url, "k") as agent:
            assert set(PRICES) <= set(await agent.models())
            return await agent.moderate("I will find you.")

    verdict = asyncio.run(judged())
    assert verdict.decision == "unsafe"  # 0.3 × 0.8 + 0.4 × 0.9
    assert [vote.decision for vote in verdict.votes] == ["unsafe", "unsafe", "safe"]
    billed = {name: entry.input + entry.output for (name, _), entry in there.count.billed.items()}
    assert {vote.model: vote.tokens for vote in verdict.votes} == billed
    assert verdict.cost_usd == pytest.approx(
        sum(tokens * PRICES[name] for name, tokens in billed.items()) / 1e6
    )
    assert verdict.latency_ms > 0


def test_a_batch_of_the_agent_comes_in_its_order_past_a_429(stand_in: Any) -> None:
    there = stand_in(Fault.THROTTLED, every_model=SAFE)
    heard: list[int] = []

    async def judged() -> Any:
        async with ModerationAgent(there.base_url, "k") as agent:
            return await agent.moderate_all([f"text {n}" for n in range(8)], heard.append)

    verdicts = asyncio.run(judged())
    assert [verdict.decision for verdict in verdicts] == ["safe"] * 8
    assert heard == list(range(1, 9))
    assert there.count.requests == 8 * 3 + 1


def test_a_model_that_fails_lowers_no_sum_and_an_unreadable_vote_is_for_a_person() -> None:
    failed = [Vote("gpt-4.1", "safe", 0.9), Vote("gemini-2.5-flash", "error", 0.0)]
    assert weigh([*failed, Vote("deepseek-v3.2", "safe", 0.9)]).decision == "safe"
    assert weigh([Vote("gpt-4.1", "error", 0.0)]).decision == "error"
    assert read_vote("gpt-4.1", "I would rather not say.").decision == "needs_review"


def test_a_key_of_elsewhere_is_told(stand_in: Any) -> None:
    there = stand_in(keys={"sk-good": "acme"})

    async def asked() -> Any:
        async with ModerationAgent(there.base_url, "sk-bad") as agent:
            verdict = await agent.moderate("a text")
            with pytest.raises(PermissionError):
                await agent.models()
            return verdict

    assert asyncio.run(asked()).decision == "error"


def test_the_chat_client_gets_every_piece_of_a_stream(stand_in: Any) -> None:
    there = stand_in(every_model=ModelScenario(reply="It is the sunlight, scattered."))

    async def heard() -> list[str]:
        async with ChatClient(there.base_url, "k") as client:
            return [piece async for piece in client.stream("Why is the sky blue?")]

    pieces = asyncio.run(heard())
    assert len(pieces) > 2
    assert "".join(pieces) == "It is the sunlight, scattered."


def test_a_stream_that_is_cut_does_not_look_whole(stand_in: Any) -> None:
    there = stand_in(Fault.CUT)

    async def heard() -> None:
        async with ChatClient(there.base_url, "k") as client:
            async for _ in client.stream("Why is the sky blue?"):
                pass

    with pytest.raises(EOFError):
        asyncio.run(heard())


def test_many_prompts_have_an_answer_each_and_a_failure_is_one_of_them(stand_in: Any) -> None:
    there = stand_in(Fault.SERVER_ERROR)

    async def answered() -> list[str | BaseException]:
        async with ChatClient(there.base_url, "k") as client:
            return await client.answer_all([f"Summarise text {n}." for n in range(20)])

    answers = asyncio.run(answered())
    texts = [answer for answer in answers if isinstance(answer, str)]
    assert len(set(texts)) == 19
    (failed,) = (answer for answer in answers if not isinstance(answer, str))
    assert isinstance(failed, httpx.HTTPStatusError)
