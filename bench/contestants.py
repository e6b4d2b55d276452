"""The ways to moderate a text with three votes that `bench.moderation` compares.

Each runs in a process of its own, and LiteLLM and any-llm in environments of their own: so only the
standard library is imported here, and the rest by the contestant that needs it. The process reads
one command a line from its standard input and answers with a line.

* `quorum`: `quorum_moderator.AsyncModerator`, which asks all three at once.
* `published`: as the published agent is described: a new httpx client for each text, three calls
  gathered, no retry, one price for all tokens of a model.
* `openai`, `litellm`, `any-llm`: one client for all texts, three calls gathered, the client's own
  retries, and the price of what each answer reports.
"""

import asyncio
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

WEIGHTS = {"gpt-4.1": 0.3, "gemini-2.5-flash": 0.4, "deepseek-v3.2": 0.3}
"""The published panel."""
UNSAFE, SAFE = 0.5, 0.6
"""The published thresholds."""
PUBLISHED_PRICES = {
    "gpt-4.1": Decimal("8.00"),
    "gemini-2.5-flash": Decimal("2.50"),
    "deepseek-v3.2": Decimal("0.42"),
}
"""Dollars for a million tokens of either kind, as published."""
PUBLISHED_SECONDS = 30
KEY = "key"
MILLION = 1_000_000
_FENCE = re.compile(r"^```\w*\n|\n```$")

Messages = Sequence[Mapping[str, str]]


class Setup(NamedTuple):
    """What every contestant is given: where to ask whom, how, and at which prices."""

    base_url: str
    voters: Mapping[str, str]
    """The names at the gateway, by voter."""
    options: Mapping[str, Any]
    """The fields of a request besides model and messages."""
    prices: Mapping[str, tuple[str, str]]
    """Dollars for a million tokens in and out, by voter."""


class Judged(NamedTuple):
    """One text's decision, the number of votes that it rests on, and what it cost as counted."""

    decision: str
    votes: int
    usd: Decimal


Judge = Callable[[str, Messages], Awaitable[Judged]]
Call = Callable[[str, Messages], Awaitable[Any]]


async def _nothing_to_close() -> None:
    """Nothing is left open."""


class Contestant(NamedTuple):
    """A way to judge a text, and to close what it holds open."""

    judge: Judge
    close: Callable[[], Awaitable[object]] = _nothing_to_close


def decided(votes: Mapping[str, tuple[str, float]]) -> str:
    """The published rule: the weighted confidences against two thresholds."""
    whole = sum(WEIGHTS[voter] for voter in votes)
    if not whole:
        return "error"
    scores = {
        side: sum(WEIGHTS[voter] * sure for voter, (said, sure) in votes.items() if said == side)
        for side in ("unsafe", "safe")
    }
    if scores["unsafe"] / whole >= UNSAFE:
        return "unsafe"
    return "safe" if scores["safe"] / whole >= SAFE else "needs_review"


def read(text: str) -> tuple[str, float]:
    """The vote in a reply: its code fences are stripped."""
    reply = json.loads(_FENCE.sub("", text.strip()))
    return str(reply["decision"]), float(reply["confidence"])


def published(setup: Setup) -> Contestant:
    """The published agent's way."""
    import httpx  # noqa: PLC0415 - not every environment has it

    async def vote(
        client: httpx.AsyncClient, voter: str, messages: Messages
    ) -> tuple[str, float, Decimal]:
        body = {"model": setup.voters[voter], "messages": messages, "temperature": 0.1}
        response = await client.post(
            f"{setup.base_url}/chat/completions",
            json={**setup.options, **body, "max_tokens": 200},
            headers={"Authorization": f"Bearer {KEY}"},
        )
        response.raise_for_status()
        answer = response.json()
        said, sure = read(answer["choices"][0]["message"]["content"])
        tokens = answer["usage"]["total_tokens"]
        return said, sure, tokens * PUBLISHED_PRICES[voter] / MILLION

    async def judge(_: str, messages: Messages) -> Judged:
        async with httpx.AsyncClient(timeout=PUBLISHED_SECONDS) as client:
            came = await asyncio.gather(
                *(vote(client, voter, messages) for voter in setup.voters), return_exceptions=True
            )
        votes, usd = {}, Decimal(0)
        for voter, one in zip(setup.voters, came, strict=True):
            if not isinstance(one, BaseException):
                votes[voter] = one[:2]
                usd += one[2]
        return Judged(decided(votes), len(votes), usd)

    return Contestant(judge)


def by_client(setup: Setup, call: Call) -> Judge:
    """The way of a library whose `call` returns an answer in OpenAI's form."""

    async def vote(voter: str, messages: Messages) -> tuple[str, float, Decimal]:
        answer = await call(setup.voters[voter], messages)
        said, sure = read(answer.choices[0].message.content)
        given, output = (Decimal(price) for price in setup.prices[voter])
        usage = answer.usage
        usd = (usage.prompt_tokens * given + usage.completion_tokens * output) / MILLION
        return said, sure, usd

    async def judge(_: str, messages: Messages) -> Judged:
        came = await asyncio.gather(
            *(vote(voter, messages) for voter in setup.voters), return_exceptions=True
        )
        votes, usd = {}, Decimal(0)
        for voter, one in zip(setup.voters, came, strict=True):
            if not isinstance(one, BaseException):
                votes[voter] = one[:2]
                usd += one[2]
        return Judged(decided(votes), len(votes), usd)

    return judge


def openai_sdk(setup: Setup) -> Contestant:
    """The `openai` package."""
    import openai  # noqa: PLC0415 - only this contestant's

    client = openai.AsyncOpenAI(base_url=setup.base_url, api_key=KEY)

    async def call(model: str, messages: Messages) -> Any:
        asked: Any = {"model": model, "messages": messages, **setup.options}
        return await client.chat.completions.create(**asked)

    return Contestant(by_client(setup, call), client.close)


def litellm_sdk(setup: Setup) -> Contestant:
    """The package `litellm`."""
    import litellm  # noqa: PLC0415 - only this contestant's

    litellm.suppress_debug_info = True
    litellm.telemetry = False

    async def call(model: str, messages: Messages) -> Any:
        return await litellm.acompletion(
            model=f"openai/{model}",
            messages=list(messages),
            api_base=setup.base_url,
            api_key=KEY,
            **setup.options,
        )

    return Contestant(by_client(setup, call))


def any_llm_sdk(setup: Setup) -> Contestant:
    """The package `any-llm-sdk`."""
    from any_llm import AnyLLM  # noqa: PLC0415 - only this contestant's

    client = AnyLLM.create("openai", api_key=KEY, api_base=setup.base_url)

    async def call(model: str, messages: Messages) -> Any:
        return await client.acompletion(model=model, messages=list(messages), **setup.options)

    return Contestant(by_client(setup, call))


def quorum(setup: Setup) -> Contestant:
    """Quorum, in this process."""
    from quorum_moderator import AsyncModerator  # noqa: PLC0415 - only this contestant's

    moderator = AsyncModerator("default", gateway=setup.base_url, key=KEY, everyone=True)

    async def judge(text: str, _: Messages) -> Judged:
        verdict = await moderator.moderate(text)
        votes = sum(vote.kind == "vote" for vote in verdict.votes)
        return Judged(str(verdict.decision), votes, verdict.cost_usd)

    return Contestant(judge, moderator.close)


CONTESTANTS: Mapping[str, Callable[[Setup], Contestant]] = {
    "quorum": quorum,
    "published": published,
    "openai": openai_sdk,
    "litellm": litellm_sdk,
    "any-llm": any_llm_sdk,
}


async def run(judge: Judge, texts: Sequence[tuple[str, Messages]], at_once: int) -> dict[str, Any]:
    """Judge the texts, `at_once` of them at the same time."""
    left = iter(texts)
    milliseconds: list[float] = []
    judged: list[Judged] = []

    async def work() -> None:
        for text, messages in left:
            began = time.perf_counter()
            judged.append(await judge(text, messages))
            milliseconds.append(round((time.perf_counter() - began) * 1000, 3))

    began, worked = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return {
        "processor_ms": (time.process_time() - worked) * 1000 / len(texts),
        "seconds": time.perf_counter() - began,
        "milliseconds": milliseconds,
        "votes": [one.votes for one in judged],
        "decisions": [one.decision for one in judged],
        "usd": str(sum((one.usd for one in judged), Decimal(0))),
    }


def peak_mib() -> float:
    """MiB of memory that this process had at most."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


async def serve(name: str) -> None:
    """Answer commands until the input ends; the first is the setup."""
    judge: Judge | None = None
    while line := await asyncio.to_thread(sys.stdin.readline):
        command = json.loads(line)
        answer: dict[str, Any] = {}
        if "setup" in command:
            judge = CONTESTANTS[name](Setup(**command["setup"])).judge
        elif "texts" in command and judge is not None:
            answer = await run(judge, command["texts"], command["at_once"])
        answer["peak_mib"] = peak_mib()
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(sys.argv[1]))
