"""The time that the client adds to a call, compared with the `openai` SDK and bare httpx.

``python -m bench.gateway_client`` asks one stand-in, in a process of its own and without any
latency, for the same vote by all three in turns, one call at a time over a warm connection, and
prints p50 and p99. The turns are interleaved so that all three meet the same machine.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from quorum.core import registry
from quorum.core.normalise import normalise
from quorum.gateway.base_urls import parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.deadline import Deadline
from quorum.vote import policy, voter
from quorum.vote.policy import DEFAULT
from rich.console import Console
from rich.table import Table

MODEL = registry.model("gpt-4.1")
CONTENT = normalise("The quick brown fox jumps over the lazy dog.")
WARMING = 30

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


def main() -> None:
    """Start the stand-in, measure, print; exits 1 if the client is too slow."""
    parser = argparse.ArgumentParser(prog="bench.gateway_client", description=__doc__)
    parser.add_argument("--calls", type=int, default=500, help="by each contestant")
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "fakes.gateway", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stand_in:
        try:
            base_url = stand_in.stdout.readline().strip() if stand_in.stdout else ""
            taken = asyncio.run(measure(base_url, arguments.calls))
        finally:
            stand_in.terminate()
    bare = statistics.median(taken["bare httpx"])
    table = Table("ms per call", "p50", "p99", "added to bare httpx, p50", title_justify="left")
    for name, each in taken.items():
        p50, p99 = statistics.median(each), statistics.quantiles(each, n=100)[98]
        table.add_row(name, f"{p50:.2f}", f"{p99:.2f}", f"{p50 - bare:+.2f}")
    Console().print(table)
    ours, sdk = (statistics.median(taken[name]) for name in ("quorum.gateway", "openai SDK"))
    sys.exit(0 if ours <= bare + 1 and ours < sdk else 1)


if __name__ == "__main__":
    main()
