"""The Python client against the deployed template."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from fakes.gateway import StandIn
from local.state import Stack
from quorum_client import (
    AsyncQuorum,
    Many,
    NotFound,
    Progress,
    Quorum,
    RequestRefused,
    Retries,
    Unauthorized,
    Verdict,
)
from tests.e2e.conftest import Recorded, says

RUN = uuid4().hex[:8]
"""A stack that is kept between runs has the votes on an earlier run's texts."""
PATIENT = Retries(attempts=8)


def client(stack: Stack) -> Quorum:
    return Quorum(stack.api, key=stack.key, retries=PATIENT)


def test_many_texts_are_judged_in_order_and_paid_once(
    stack: Stack, stand_in: StandIn, recorded: Recorded
) -> None:
    unsafe: dict[str, Any] = {"gemini_2_5_flash": "unsafe", "deepseek_v3_2": "unsafe"}
    texts = [
        says(recorded, f"{RUN} one of many, {number}", **(unsafe if number % 3 == 0 else {}))
        for number in range(12)
    ]
    texts.insert(5, "")
    told: list[Progress] = []
    before = stand_in.count.cost_usd
    with client(stack) as quorum:
        many = quorum.moderate_many(texts, panel="default", concurrency=4, progress=told.append)
        paid = stand_in.count.cost_usd - before
        stored = many.results[0].verdict
        assert stored is not None
        assert quorum.verdict(stored.id) == stored
    expected = ["unsafe" if number % 3 == 0 else "safe" for number in range(12)]
    expected.insert(5, "error")
    assert [one.verdict.decision if one.verdict else "error" for one in many] == expected
    refusal = many.results[5].error
    assert isinstance(refusal, RequestRefused)
    assert (refusal.field, refusal.status) == ("content", 400)
    assert many.report.total_cost_usd == told[-1].cost_usd == paid > 0
    assert many.report.decisions == {"safe": 8, "unsafe": 4, "needs_review": 0, "error": 1}


def test_a_request_that_is_repeated_with_its_key_is_answered_as_before_and_paid_once(
    stack: Stack, stand_in: StandIn, recorded: Recorded
) -> None:
    text, key = says(recorded, f"{RUN} the answer got lost"), uuid4().hex
    with client(stack) as quorum:
        first = quorum.moderate(text, panel="default", idempotency_key=key)
        paid = stand_in.count.cost_usd
        again = quorum.moderate(text, panel="default", idempotency_key=key)
    assert again == first
    assert stand_in.count.cost_usd == paid


def test_the_asynchronous_client_judges_alike(stack: Stack, recorded: Recorded) -> None:
    texts = [says(recorded, f"{RUN} asynchronous, {number}") for number in range(16)]

    async def run() -> Many[Verdict]:
        async with AsyncQuorum(stack.api, key=stack.key, retries=PATIENT) as quorum:
            return await quorum.moderate_many(texts, panel="default", concurrency=4)

    many = asyncio.run(run())
    assert [
        one and one.reason for one in many.verdicts if one is None or one.decision != "safe"
    ] == []
    assert len(many) == 16


def test_a_batch_is_waited_for_and_read_in_order(stack: Stack, recorded: Recorded) -> None:
    texts = [says(recorded, f"{RUN} in a batch, {number}") for number in range(5)]
    states: list[str] = []
    with client(stack) as quorum:
        batch = quorum.batch([*texts, "", {"content": texts[0], "id": "again"}], panel="default")
        ended = batch.wait(lambda so_far: states.append(so_far.state))
        results = list(batch.results())
    assert (ended.state, ended.settled, ended.rejected) == ("complete", 6, 1)
    assert ended.cost_usd > Decimal(0)
    assert [result.index for result in results] == list(range(7))
    assert results[5].rejected is not None
    assert results[6].verdict is not None
    assert results[6].verdict.content_id == "again"
    assert states[-1] == "complete"


def test_documents_are_answered(stack: Stack) -> None:
    with client(stack) as quorum:
        batch = quorum.documents([f"{RUN} A text about the sea."], "summarize", model="gpt-4.1")
        batch.wait()
        (result,) = batch.results()
    assert result.document is not None
    assert result.document.operation == "summarize"
    assert result.document.cost_usd > 0


def test_a_chats_tokens_are_heard_to_the_end(stack: Stack) -> None:
    with client(stack) as quorum:
        tokens = quorum.chat(f"{RUN} Why is the sky blue?", model="gpt-4.1")
        assert "".join(tokens) == tokens.text
    assert tokens.text
    assert tokens.finish_reason == "stop"
    assert tokens.cost_usd is not None


def test_refusals_are_errors_of_the_tree(stack: Stack) -> None:
    with client(stack) as quorum:
        with pytest.raises(NotFound):
            quorum.verdict("no-such-verdict")
        with pytest.raises(RequestRefused) as refused:
            quorum.moderate("a text", panel="no such panel")
        assert refused.value.field == "panel"
    with Quorum(stack.api, key="qk_wrong") as stranger, pytest.raises(Unauthorized):
        stranger.moderate("a text")
