"""The time that the chat adds to a stream, compared with a stream read from the stand-in directly.

``python -m bench.chat`` deploys a local stack of its own (a minute), and asks the same questions in
turns: over the WebSocket – API Gateway, route, streaming function, posts, as the local stack plays
them – over two bare functions of the same shape (`bench.bare_chat`), and directly with httpx. The
stand-in runs in a process of its own. Measured are the time to the first token, tokens a second of
a long answer from its first to its last (at a steady pace, and as fast as it can be read), the time
from the last token to the message that ends the answer, and how long a cancel takes. The local
stack is one Python process on this machine: read the ratios, not the milliseconds. It writes
`docs/benchmarks/chat.json`.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4
from zipfile import ZipFile

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
BARE = f"bare-{uuid4().hex[:6]}"
"""Name of what is created beside Quorum's own functions: another one in each run."""
BARE_ACTIONS = ["lambda:InvokeFunction", "execute-api:ManageConnections"]
INVOKED = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions"
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
    """Seconds to the first token, to the last, and to the end."""

    first: float
    last: float
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
    """A local stack of the benchmark's own, whose limit no answer waits for.

    It is kept in one item, as the limit of most deployments is.
    """
    folder = ROOT / ".local" / "bench"
    overrides = {
        "GatewayBaseUrl": base_url,
        "DefaultPanel": "embedded",
        "RequestsPerMinute": "5000",
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
        began, first, last = time.perf_counter(), 0.0, 0.0
        url, headers = f"{base_url}/chat/completions", {"authorization": f"Bearer {KEY}"}
        with http.stream("POST", url, json=body, headers=headers) as answer:
            for line in answer.iter_lines():
                if '"content": "' in line and '"content": ""' not in line:
                    last = time.perf_counter() - began
                    first = first or last
        return Streamed(first, last, time.perf_counter() - began)

    return stream


def by_chat(connection: "ClientConnection") -> Stream:
    """The same over the chat."""

    def stream(prompt: str, tokens: int, model: str) -> Streamed:
        began, first, last = time.perf_counter(), 0.0, 0.0
        send(connection, prompt=prompt, model=model, max_tokens=tokens)
        while (message := json.loads(connection.recv(timeout=60)))["type"] == "token":
            last = time.perf_counter() - began
            first = first or last
        if message["type"] != "complete":
            raise SystemExit(f"the chat answered {message}")
        return Streamed(first, last, time.perf_counter() - began)

    return stream


@contextmanager
def bare_chat(stack: Stack, base_url: str) -> Iterator[str]:
    """The URL of a WebSocket on the same stack whose messages `bench.bare_chat` answers."""
    gateway, functions = stack.client("apigatewayv2"), stack.client("lambda")
    named = {"Name": BARE, "RouteSelectionExpression": "$request.body.action"}
    with ExitStack() as until_left:
        api = gateway.create_api(**named, ProtocolType="WEBSOCKET")["ApiId"]
        until_left.callback(gateway.delete_api, ApiId=api)
        connections = f"{stack.endpoint}/_aws/execute-api/{api}/{BARE}"
        variables = stack.environment() | {
            "ANSWER_FUNCTION": f"{BARE}-answer",
            "BASE_URL": base_url,
            "CONNECTIONS_URL": connections,
            "GATEWAY_KEY": KEY,
        }
        role = until_left.enter_context(_bare_role(stack))
        for name in ("answer", "receive"):
            arn = _bare_function(stack, name, role, variables)
            until_left.callback(functions.delete_function, FunctionName=arn)
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=f"{INVOKED}/{arn}/invocations"
        )
        for route in ("$connect", "$disconnect", "$default"):
            target = f"integrations/{integration['IntegrationId']}"
            gateway.create_route(ApiId=api, RouteKey=route, Target=target)
        gateway.create_stage(ApiId=api, StageName=BARE, AutoDeploy=True)
        yield connections.replace("http", "ws", 1)


@contextmanager
def _bare_role(stack: Stack) -> Iterator[str]:
    """The ARN of a role that may start a function and post to clients."""
    roles = stack.client("iam")
    trusted = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}
    allowed = {"Effect": "Allow", "Action": BARE_ACTIONS, "Resource": "*"}
    document = json.dumps({"Statement": [trusted | {"Action": "sts:AssumeRole"}]})
    made = roles.create_role(RoleName=BARE, AssumeRolePolicyDocument=document)
    named = {"RoleName": BARE, "PolicyName": BARE}
    roles.put_role_policy(**named, PolicyDocument=json.dumps({"Statement": [allowed]}))
    try:
        yield made["Role"]["Arn"]
    finally:
        roles.delete_role_policy(**named)
        roles.delete_role(RoleName=BARE)


def _bare_function(stack: Stack, name: str, role: str, variables: Mapping[str, str]) -> str:
    """Create a function of `bench.bare_chat`, in all else like Quorum's; returns its ARN."""
    functions = stack.client("lambda")
    alike = functions.get_function_configuration(FunctionName=stack.resources["ConverseFunction"])
    code = BytesIO()
    with ZipFile(code, "w") as archive:
        archive.write(Path(__file__).with_name("bare_chat.py"), "app.py")
    made = functions.create_function(
        FunctionName=f"{BARE}-{name}",
        Code={"ZipFile": code.getvalue()},
        Handler=f"app.{name}",
        Environment={"Variables": variables},
        Layers=[layer["Arn"] for layer in alike["Layers"]],
        Role=role,
        **{field: alike[field] for field in ("Runtime", "Timeout", "MemorySize")},
    )
    return str(made["FunctionArn"])


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
    """Seconds of one call of the stack's store: three in a row stand before a first token."""
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
    return LONG / (taken.last - taken.first)


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
        with (
            connect(stack.chat, additional_headers={"x-api-key": key}) as connection,
            bare_chat(stack, base_url) as bare_url,
            connect(bare_url) as bare,
        ):
            ways = {"directly": directly(http, base_url), "by chat": by_chat(connection)}
            three = ways | {"by bare functions": by_chat(bare)}
            short = in_turns(three, size.chats, SHORT, QUICK_MODEL)
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
        "end_after_last_token_ms": {
            way: round(statistics.median(one.whole - one.last for one in taken) * 1000)
            for way, taken in paced.items()
        },
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
