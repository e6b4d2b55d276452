"""The time that the chat adds to a stream, compared with a stream read from the stand-in directly.

``python -m bench.chat`` deploys a local stack of its own (a minute), and asks the same questions in
turns: over the WebSocket – API Gateway, route, streaming function, posts, as the local stack plays
them – and directly with httpx. The stand-in runs in a process of its own. Measured are the time to
the first token, tokens a second of a long answer (at a steady pace, and as fast as it can be read),
and how long a cancel takes. The local stack is one Python process on this machine: read the ratios,
not the milliseconds. It writes `docs/benchmarks/chat.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
from quorum.aws.keys import Caller
from websockets.sync.client import connect

from bench import results
from bench.results import percentile
from local.stack import start_stack, stop_stack
from local.state import ROOT, Stack

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

NAME = "chat"
KEY = "sk-stand-in"
QUICK_MODEL, PACED, SLOW = "gpt-4.1-nano", "gpt-4.1", "gpt-4.1-mini"
LATENCY_MS = 200
"""Milliseconds until the stand-in's first token."""
SHORT, LONG = 32, 4_000
PACE = 1_000
"""Tokens a second that the stand-in sends to measure a steady pace: faster than anybody reads."""
CANCEL_SECONDS = 1.0
"""Seconds within which a cancel must be confirmed."""
WARMING = 2
SCENARIO = {
    "keys": {KEY: "quorum"},
    "models": {
        QUICK_MODEL: {"latency_ms": LATENCY_MS, "tokens_per_second": 1_000_000},
        PACED: {"tokens_per_second": PACE},
        SLOW: {"tokens_per_second": 20},
    },
    "output_tokens": LONG,
}


class Streamed(NamedTuple):
    """Seconds to the first token and to the end."""

    first: float
    whole: float


Stream = Callable[[str, int, str], Streamed]


@contextmanager
def stand_in() -> Iterator[str]:
    """The base URL of a stand-in in a process of its own."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as scenario:
        json.dump(SCENARIO, scenario)
        scenario.flush()
        command = [sys.executable, "-m", "fakes.gateway", "--port", "0", "--scenario"]
        with subprocess.Popen(
            [*command, scenario.name], stdout=subprocess.PIPE, text=True
        ) as running:
            try:
                yield running.stdout.readline().strip() if running.stdout else ""
            finally:
                running.terminate()


@contextmanager
def deployed(base_url: str) -> Iterator[Stack]:
    """A local stack of the benchmark's own, which asks the stand-in without any limit."""
    folder = ROOT / ".local" / "bench"
    overrides = {
        "GatewayBaseUrl": base_url,
        "DefaultPanel": "embedded",
        "RequestsPerMinute": "1000000",
        "TokensPerMinute": "1000000000",
    }
    try:
        yield start_stack(folder, overrides, gateway_key=KEY)
    finally:
        stop_stack(folder)


def directly(http: httpx.Client, base_url: str) -> Stream:
    """Streams read from the stand-in itself."""

    def stream(prompt: str, tokens: int, model: str) -> Streamed:
        body = {
            "model": model,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": tokens,
            "stream": True,
        }
        began, first = time.perf_counter(), 0.0
        url, headers = f"{base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
        with http.stream("POST", url, json=body, headers=headers) as answer:
            for line in answer.iter_lines():
                if not first and '"content"' in line:
                    first = time.perf_counter() - began
        return Streamed(first, time.perf_counter() - began)

    return stream


def by_chat(connection: "ClientConnection") -> Stream:
    """The same over the chat."""

    def stream(prompt: str, tokens: int, model: str) -> Streamed:
        began, first = time.perf_counter(), 0.0
        send(connection, prompt=prompt, model=model, max_tokens=tokens)
        while (message := json.loads(connection.recv(timeout=60)))["type"] == "token":
            first = first or time.perf_counter() - began
        if message["type"] != "complete":
            raise SystemExit(f"the chat answered {message}")
        return Streamed(first, time.perf_counter() - began)

    return stream


def cancelled(connection: "ClientConnection", number: int) -> float:
    """Seconds from a cancel, in the middle of an answer, to its confirmation."""
    name = f"cancelled-{number}"
    send(connection, prompt="Tell me all.", model=SLOW, max_tokens=LONG, request_id=name)
    connection.recv(timeout=60)
    began = time.perf_counter()
    connection.send(json.dumps({"action": "cancel", "request_id": name}))
    while (message := json.loads(connection.recv(timeout=60)))["type"] == "token":
        pass
    if message["type"] != "cancelled":
        raise SystemExit(f"the chat answered {message}")
    return time.perf_counter() - began


def looked_up(stack: Stack) -> float:
    """Seconds of one call of the stack's store: six in a row stand before a first token."""
    table = stack.resource().Table(stack.outputs["KeysTable"])
    table.load()  # the connection is open
    began = time.perf_counter()
    table.get_item(Key={"key_hash": "none"})
    return time.perf_counter() - began


def send(connection: "ClientConnection", **asked: Any) -> None:
    """Ask without the answer cache."""
    connection.send(json.dumps({"action": "chat", "use_cache": False, **asked}))


def in_turns(
    ways: dict[str, Stream], number: int, tokens: int, model: str
) -> dict[str, list[Streamed]]:
    """`number` streams by each way, interleaved, so that all meet the same machine."""
    taken: dict[str, list[Streamed]] = {way: [] for way in ways}
    for turn in range(number + WARMING):
        for way, stream in ways.items():
            measured = stream(f"Question {turn}?", tokens, model)
            if turn >= WARMING:
                taken[way].append(measured)
    return taken


def tokens_a_second(taken: Streamed) -> float:
    """Tokens a second of a long answer from its first token on: how fast they come once they do."""
    return LONG / (taken.whole - taken.first)


class Size(NamedTuple):
    """How often each is measured: short and long answers each way, and cancels."""

    chats: int
    long: int
    cancels: int


FULL = Size(chats=60, long=5, cancels=10)
QUICK = Size(chats=2, long=2, cancels=1)


def measure(size: Size) -> dict[str, Any]:
    """The figures."""
    run = results.run_of("bench.chat")
    with stand_in() as base_url, deployed(base_url) as stack, httpx.Client(timeout=60) as http:
        key = stack.new_key(Caller(tenant="bench"))
        with connect(stack.chat, additional_headers={"x-api-key": key}) as connection:
            ways = {"directly": directly(http, base_url), "by chat": by_chat(connection)}
            short = in_turns(ways, size.chats, SHORT, QUICK_MODEL)
            paced = in_turns(ways, size.long, LONG, PACED)
            long = in_turns(ways, size.long, LONG, QUICK_MODEL)
            cancels = [cancelled(connection, number) for number in range(size.cancels)]
        store = [looked_up(stack) for _ in range(size.chats)]
    return {
        "run": run,
        "size": size._asdict(),
        "stand_in_ms": LATENCY_MS,
        "store_call_ms": round(statistics.median(store) * 1000, 1),
        "first_token": {way: _firsts(taken) for way, taken in short.items()},
        "tokens_per_second": {
            f"{PACE:,} a second": _speeds(paced),
            "all at once": _speeds(long),
        },
        "tokens": LONG,
        "cancel": {
            "p50_ms": round(statistics.median(cancels) * 1000),
            "longest_ms": round(max(cancels) * 1000),
        },
    }


def _firsts(taken: Sequence[Streamed]) -> dict[str, float]:
    """Milliseconds to the first token."""
    times = [one.first * 1000 for one in taken]
    return {f"p{percent}_ms": round(percentile(times, percent), 1) for percent in (50, 99)}


def _speeds(taken: Mapping[str, Sequence[Streamed]]) -> dict[str, int]:
    """Tokens a second by each way, at the median."""
    return {
        way: round(statistics.median(map(tokens_a_second, every))) for way, every in taken.items()
    }


def main() -> None:
    """Deploy, measure, keep; exits with 1 if a cancel took longer than `CANCEL_SECONDS`."""
    parser = argparse.ArgumentParser(prog="bench.chat", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few of each; keeps nothing")
    given = parser.parse_args()
    figures = measure(QUICK if given.quick else FULL)
    results.keep(NAME, figures, ("httpx", "websockets"), quick=given.quick)
    late = figures["cancel"]["longest_ms"] > CANCEL_SECONDS * 1000
    sys.exit(late and not given.quick)


if __name__ == "__main__":
    main()
