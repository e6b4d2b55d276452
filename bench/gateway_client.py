"""The time that the client adds to a call, compared with the `openai` SDK and bare httpx.

``python -m bench.gateway_client`` asks one stand-in, in a process of its own and without any
latency, for the same vote by all three in turns, one call at a time over a warm connection. The
turns are interleaved so that all three meet the same machine. It writes
`docs/benchmarks/gateway.json`, and exits with 1 if the client is too slow.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
from quorum.core import registry
from quorum.core.normalise import normalise
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.vote import policy, voter
from quorum.vote.policy import DEFAULT

from bench import results
from bench.results import percentile
from bench.stand_in import apart

NAME = "gateway"
MODEL = registry.model("gpt-4.1")
CONTENT = normalise("The quick brown fox jumps over the lazy dog.")
WARMING = 30
QUICK_CALLS = 3
ADDED_MS = 1.0
"""Milliseconds that the client may add to a bare call at the median."""

Ask = Callable[[], Awaitable[object]]


def _body() -> dict[str, Any]:
    """The request that all three send: the vote's prompt, without anything particular to one."""
    schema = {"name": "reply", "strict": True, "schema": DEFAULT.reply_schema}
    return {
        "model": MODEL.gateway_name,
        "messages": voter.messages(CONTENT),
        "max_tokens": policy.MAX_OUTPUT_TOKENS,
        "temperature": 0.0,
        "response_format": {"type": "json_schema", "json_schema": schema},
        "logprobs": True,
    }


def _contestants(base_url: str) -> tuple[dict[str, Ask], Callable[[], Awaitable[None]]]:
    import openai  # noqa: PLC0415 - slow to import, and only this contestant's

    gateway = Gateway(GatewaySettings(base_urls=parse_base_urls(base_url, "key")))
    bare = httpx.AsyncClient(headers={"authorization": "Bearer key"}, trust_env=False)
    sdk = openai.AsyncOpenAI(base_url=base_url, api_key="key")
    asked: Any = _body()

    async def by_httpx() -> object:
        response = await bare.post(f"{base_url}/chat/completions", json=_body())
        response.raise_for_status()
        return json.loads(response.content)["choices"][0]["message"]["content"]

    async def by_sdk() -> object:
        asked["messages"] = voter.messages(CONTENT)
        answer = await sdk.chat.completions.create(**asked)
        return answer.choices[0].message.content

    async def by_gateway() -> object:
        completion = await gateway.complete(
            MODEL,
            voter.messages(CONTENT),
            max_output_tokens=policy.MAX_OUTPUT_TOKENS,
            schema=DEFAULT.reply_schema,
            log_probabilities=True,
            deadline=Deadline.after(30),
        )
        return completion.text

    async def close() -> None:
        await asyncio.gather(gateway.close(), bare.aclose(), sdk.close())

    return {
        "bare httpx": by_httpx,
        "quorum.gateway": by_gateway,
        "openai SDK": by_sdk,
    }, close


async def measure(base_url: str, calls: int) -> dict[str, list[float]]:
    """Milliseconds of each call, by contestant."""
    contestants, close = _contestants(base_url)
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(calls + WARMING):
        for name, ask in contestants.items():
            begun = time.perf_counter()
            await ask()
            if number >= WARMING:
                taken[name].append((time.perf_counter() - begun) * 1000)
    await close()
    return taken


def summed(taken: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    """The median and the slowest percent of each contestant's calls."""
    return {
        name: {
            "p50_ms": round(statistics.median(each), 3),
            "p99_ms": round(percentile(each, 99), 3),
        }
        for name, each in taken.items()
    }


def fast_enough(client: Mapping[str, Mapping[str, float]]) -> bool:
    """Whether the client adds a millisecond at most, and less than the SDK."""
    bare, ours, sdk = (
        client[name]["p50_ms"] for name in ("bare httpx", "quorum.gateway", "openai SDK")
    )
    return ours <= bare + ADDED_MS and ours < sdk


def main() -> None:
    """Start the stand-in, measure and keep the figures."""
    parser = argparse.ArgumentParser(prog="bench.gateway_client", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a second or two; keeps nothing")
    parser.add_argument("--calls", type=int, default=2_000, help="by each contestant")
    given = parser.parse_args()
    run = results.run_of("bench.gateway_client")
    calls = QUICK_CALLS if given.quick else given.calls
    with apart() as base_url:
        client = summed(asyncio.run(measure(base_url, calls)))
    figures = {"run": run, "calls": calls, "client": client}
    results.keep(NAME, figures, ("httpx", "openai"), quick=given.quick)
    sys.exit(0 if given.quick or fast_enough(client) else 1)


if __name__ == "__main__":
    main()
