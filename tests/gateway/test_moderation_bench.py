"""The comparing benchmark runs, and its contestants count as they should."""

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from bench import contestants, moderation
from fakes.gateway import Fault, Scenario, running

if TYPE_CHECKING:
    from bench.contestants import Messages

NAMES = ("quorum", "published")
"""Contestants of this environment that start fast."""


def test_its_quick_form_measures_each_contestant() -> None:
    size = moderation.QUICK._replace(at_once=(2,), faulty_texts=3)
    found = moderation.measure(size, NAMES)
    (part,) = found["upstream_ms"].values()
    assert set(part["at_once"]["2"]) == set(part["peak_mib"]) == set(NAMES)
    assert all(cell["texts_per_second"] > 0 for cell in part["at_once"]["2"].values())
    faulty = found["faults"]["each"]
    assert all(one["votes"] <= 9 <= one["calls"] for one in faulty.values())
    assert faulty["quorum"]["counted_usd"] == faulty["quorum"]["charged_usd"]


@pytest.mark.parametrize("name", ["quorum", "published", "openai"])
def test_an_answer_that_breaks_off_is_counted_by_quorum_alone(name: str) -> None:
    ((text, messages),) = moderation.texts(1, 0)

    async def judged(base_url: str) -> contestants.Judged:
        contestant = contestants.CONTESTANTS[name](moderation.setup(base_url))
        came = await contestant.judge(text, messages)
        await contestant.close()
        return came

    with running(Scenario(script=(Fault.CUT,))) as there:
        came = asyncio.run(judged(there.base_url))
        charged = there.count.cost_usd
    assert came.votes == (2 if name == "published" else 3)  # it asks once
    assert (came.usd == charged) == (name == "quorum")


@pytest.mark.parametrize(
    ("votes", "decision"),
    [
        ({"gpt-4.1": ("unsafe", 0.9), "gemini-2.5-flash": ("unsafe", 0.9)}, "unsafe"),
        ({"gpt-4.1": ("safe", 0.9), "gemini-2.5-flash": ("safe", 0.9)}, "safe"),
        ({"gpt-4.1": ("safe", 0.9), "gemini-2.5-flash": ("unsafe", 0.6)}, "needs_review"),
        ({}, "error"),
    ],
)
def test_the_published_rule(votes: dict[str, tuple[str, float]], decision: str) -> None:
    assert contestants.decided(votes) == decision


def test_a_reply_is_read_within_its_fences() -> None:
    fenced = '```json\n{"decision": "safe", "confidence": 0.5}\n```'
    assert contestants.read(fenced) == ("safe", 0.5)


def test_turns_with_a_missing_vote_are_not_measured() -> None:
    turn = {"milliseconds": [1.0], "votes": [2], "seconds": 1.0, "processor_ms": 1.0}
    with pytest.raises(RuntimeError, match="a vote was missing"):
        moderation.summed([turn])


def test_texts_differ_and_have_a_prompt_each() -> None:
    several = moderation.texts(10, 5)
    assert len({text for text, _ in several}) == 10
    prompts: list[Messages] = [messages for _, messages in several]
    assert all(len(messages) == 2 for messages in prompts)
    assert Decimal(moderation.setup("http://x").prices["gpt-4.1"][0]) > 0
