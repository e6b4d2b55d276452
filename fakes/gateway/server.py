"""The server: the wire format, the faults, and an exact count of what was billed."""

import asyncio
import json
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

import uvicorn
from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.gateway import tokenizer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from fakes.gateway import documents
from fakes.gateway.scenario import Fault, ModelScenario, Scenario, TooFast
from fakes.gateway.votes import RecordedVotes, answer, prose

_KEEP_ALIVE_SECONDS = 65
_TICK_SECONDS = 0.1
"""Seconds between two looks at the clock, as in uvicorn: its answers carry the date."""
_CREATED = 1_700_000_000
"""Epoch seconds at which every model was created, as far as the stand-in says."""
OWNER = "stand-in, whose answers are invented"
"""The owner of every model, and the fingerprint of every answer."""
_TOKEN = re.compile(r"\w+|\W")
_STATUSES = {
    Fault.THROTTLED: 429,
    Fault.NO_CREDIT: 402,
    Fault.TIMED_OUT: 408,
    Fault.CONFLICT: 409,
    Fault.SERVER_ERROR: 500,
    Fault.BAD_GATEWAY: 502,
    Fault.UNAVAILABLE: 503,
}
_REPLIES = {
    Fault.MALFORMED: "I have thought about this text for a while and {",
    Fault.TWO_MINDS: '{"decision": "safe"} or rather {"decision": "unsafe"}',
}


@dataclass
class _Billed:
    calls: int = 0
    input: int = 0
    cached_input: int = 0
    output: int = 0
    cost_usd: Decimal = Decimal(0)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "cost_usd": str(self.cost_usd)}


@dataclass
class Count:
    """The requests and tokens that the stand-in received and billed.

    An answer is billed when its first byte is sent, whole even if it is cut later; a stream is
    billed for the tokens that were sent.
    """

    requests: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    connections: set[tuple[str, int]] = field(default_factory=set)
    billed: dict[tuple[str, str], _Billed] = field(default_factory=dict)

    def bill(self, model: str, tenant: str, usage: Mapping[str, int]) -> None:
        """Add one answer's tokens at the registry's prices."""
        price = registry.model(model).price
        entry = self.billed.setdefault((model, tenant), _Billed())
        cached = usage["cached"]
        cached_price = price.input if price.cached_input is None else price.cached_input
        entry.calls += 1
        entry.input += usage["input"]
        entry.cached_input += cached
        entry.output += usage["output"]
        entry.cost_usd += (
            (usage["input"] - cached) * price.input
            + cached * cached_price
            + usage["output"] * price.output
        ) / Decimal(1_000_000)

    @property
    def cost_usd(self) -> Decimal:
        """Everything billed, exact."""
        return sum((entry.cost_usd for entry in self.billed.values()), Decimal(0))

    def as_json(self) -> dict[str, Any]:
        """For `GET /_count`; money as strings."""
        models: dict[str, dict[str, Any]] = {}
        for (model, tenant), entry in self.billed.items():
            models.setdefault(model, {})[tenant] = entry.as_json()
        return {
            "requests": self.requests,
            "connections": len(self.connections),
            "faults": dict(self.faults),
            "cost_usd": str(self.cost_usd),
            "billed": models,
        }


class StandIn:
    """One running stand-in, with its scenario and its counts."""

    def __init__(self, scenario: Scenario, recorded: RecordedVotes | None = None) -> None:
        self.count = Count()
        self.base_url = ""
        self.bodies: list[dict[str, Any]] = []
        self._recorded = recorded
        self._cached: set[tuple[str, str]] = set()
        self.scenario = scenario

    @property
    def scenario(self) -> Scenario:
        """The scenario; a new one restarts script, draws and limits."""
        return self._scenario

    @scenario.setter
    def scenario(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._script = list(scenario.script)
        self._randomness = random.Random(scenario.seed)
        self._limits: dict[str, TooFast] = {}

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", _Completions(self)),
                Route("/_count", self._counted),
            ]
        )

    # ---- what it knows ----

    def tenant(self, headers: Mapping[str, str]) -> str | None:
        """The tenant of the key; None for a key that is not accepted."""
        key = headers.get("authorization", "").removeprefix("Bearer ").strip()
        return self.scenario.keys.get(key) if self.scenario.keys else key or "-"

    def names(self) -> list[str]:
        """The gateway names of the models served."""
        known = list(self.scenario.models) or [
            model.gateway_name for model in registry.MODELS if model.gateway_name
        ]
        return [name for name in known if name not in self.scenario.missing_models]

    def model(self, name: object) -> tuple[registry.Model, ModelScenario] | None:
        """The model called `name`, which may be an alias, and its scenario."""
        try:
            found = registry.model(str(name))
        except ModelUnknown:
            return None
        if found.gateway_name not in self.names():
            return None
        return found, self.scenario.models.get(found.gateway_name, self.scenario.every_model)

    def next_fault(self) -> Fault:
        """The script's next, else one drawn: the n-th request always meets the same."""
        drawn = self._randomness.random()
        if self._script:
            return self._script.pop(0)
        for fault, rate in self.scenario.rates.items():
            if drawn < rate:
                return fault
            drawn -= rate
        return Fault.NONE

    def latency_seconds(self, model: ModelScenario) -> float:
        """Seconds that this answer takes."""
        return model.latency_seconds(self._randomness)

    def too_fast(self, name: str, model: ModelScenario, tokens: int) -> float | None:
        """Seconds to wait if the model's limit is reached."""
        limit = self._limits.setdefault(name, TooFast(model))
        return limit.retry_after_seconds(time.monotonic(), tokens)

    def cached_tokens(self, model: str, messages: list[dict[str, str]]) -> int:
        """The prompt tokens in a provider's cache: the first message, if it was sent before."""
        if not self.scenario.caches_prompts or not messages:
            return 0
        first = (model, messages[0]["content"])
        known = first in self._cached
        self._cached.add(first)
        return _tokens(messages[0]["content"]) if known else 0

    def failure(self, fault: Fault) -> ASGIApp | None:
        """The response to a request that is not answered at all, and so not billed."""
        if fault in _STATUSES:
            retry_after = self.scenario.retry_after if fault is Fault.THROTTLED else None
            return _error(_STATUSES[fault], "made_to_fail", "As the scenario says.", retry_after)
        if fault is Fault.BLOCKED:
            return _error(400, "invalid_request_error", "Content Exists Risk")
        if fault is Fault.PAGE:
            return Response("<html><h1>Be right back</h1></html>", media_type="text/html")
        return _resetting if fault is Fault.RESET else None

    def vote(self, model: str, messages: list[dict[str, str]]) -> str | None:
        """The vote, if the messages ask for one."""
        return answer(model, messages, self.scenario.seed, self._recorded)

    def about_document(self, messages: list[dict[str, str]]) -> str | None:
        """The answer about a document, if the messages ask for one."""
        return documents.answer(messages)

    # ---- routes ----

    async def _models(self, request: Request) -> Response:
        if self.tenant(request.headers) is None:
            return _error(401, "invalid_api_key", "Incorrect API key provided.")
        entries = [
            {"id": name, "object": "model", "created": _CREATED, "owned_by": OWNER}
            for name in self.names()
        ]
        return JSONResponse({"object": "list", "data": entries})

    async def _counted(self, _: Request) -> Response:
        return JSONResponse(self.count.as_json())


class _Completions:
    """`POST /v1/chat/completions`, as a plain ASGI application: faults need its connection."""

    def __init__(self, stand_in: StandIn) -> None:
        self._stand_in = stand_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (await self._response(scope, receive))(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> ASGIApp:
        stand_in, count = self._stand_in, self._stand_in.count
        request = Request(scope, receive)
        count.requests += 1
        count.connections.add(scope["client"])
        tenant = stand_in.tenant(request.headers)
        if tenant is None:
            return _error(401, "invalid_api_key", "Incorrect API key provided.")
        body = _read(await request.body())
        if body is None:
            return _error(400, "invalid_request", "The body is JSON with a list of `messages`.")
        stand_in.bodies.append(body)
        found = stand_in.model(body.get("model"))
        if found is None:
            return _error(404, "model_not_found", "The model does not exist.")
        model, behaviour = found
        fault = stand_in.next_fault()
        count.faults[fault] += 1
        given = _prompt_tokens(body["messages"])
        seconds = stand_in.too_fast(model.gateway_name, behaviour, given)
        if seconds is not None:
            count.faults["limit"] += 1
            return _error(429, "rate_limit_exceeded", "Slow down.", f"{seconds:.3f}")
        await asyncio.sleep(stand_in.latency_seconds(behaviour))
        if fault is Fault.SLOW:
            await asyncio.sleep(stand_in.scenario.slow_seconds)
        return stand_in.failure(fault) or _Answer(
            stand_in, model, behaviour, body, fault, given, tenant
        )


class _Answer:
    """One answer on its way: sent, and billed for what was sent."""

    def __init__(  # noqa: PLR0917 - the facts of one request, used once
        self,
        stand_in: StandIn,
        model: registry.Model,
        behaviour: ModelScenario,
        body: dict[str, Any],
        fault: Fault,
        given: int,
        tenant: str,
    ) -> None:
        self._stand_in = stand_in
        self._model = model
        self._behaviour = behaviour
        self._body = body
        self._fault = fault
        self._tenant = tenant
        self._given = given
        messages = body["messages"]
        text = _REPLIES.get(fault) or behaviour.reply or stand_in.vote(model.name, messages)
        if text is None:
            text = stand_in.about_document(messages)
        if fault is Fault.FILTERED:
            text = ""
        limit = int(body.get("max_tokens") or stand_in.scenario.output_tokens)
        if text is None:
            tokens = min(limit, stand_in.scenario.output_tokens)
            self._pieces = prose(messages, stand_in.scenario.seed, tokens)
            self._output = tokens
        else:
            self._pieces = _TOKEN.findall(text)
            self._output = _tokens(text)
        self._streams = bool(body.get("stream"))
        self._id = f"chatcmpl-{stand_in.count.requests}"
        self._cached = min(stand_in.cached_tokens(model.name, messages), given)
        filtered = fault is Fault.FILTERED
        self._finish_reason = "content_filter" if filtered else behaviour.finish_reason

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        await (self._stream if self._streams else self._whole)(receive, send)

    async def _whole(self, receive: Receive, send: Send) -> None:
        text = "".join(self._pieces)
        choice: dict[str, Any] = {
            "index": 0,
            "finish_reason": self._finish_reason,
            "logprobs": None,
            "message": {"role": "assistant", "content": text, "refusal": None},
        }
        if self._body.get("logprobs"):
            choice["logprobs"] = {"content": _log_probabilities(self._pieces)}
        envelope = {**self._envelope("chat.completion"), "choices": [choice]}
        if self._fault is not Fault.NO_USAGE:
            envelope["usage"] = self._usage(self._output)
        sent = json.dumps(envelope, ensure_ascii=False).encode()
        self._bill(self._output)
        await _start(send, "application/json", len(sent))
        if self._fault is Fault.CUT:
            await send({"type": "http.response.body", "body": sent[:-60], "more_body": True})
            await asyncio.sleep(0.01)
            return await _reset(receive)
        return await send({"type": "http.response.body", "body": sent})

    async def _stream(self, receive: Receive, send: Send) -> None:
        pieces = self._pieces
        if self._fault is Fault.CUT:
            pieces = pieces[: len(pieces) // 2]
        pause = 1 / self._behaviour.tokens_per_second
        begun, sent = time.monotonic(), 0
        await _start(send, "text/event-stream", None)
        await _chunk(send, self._event({"role": "assistant", "content": ""}))
        gone = asyncio.create_task(_gone(receive))
        try:
            for piece in pieces:
                if gone.done():
                    return None
                if self._stand_in.scenario.keep_alive_comments:
                    await _chunk(send, b": keep-alive\n\n")
                await _chunk(send, self._event({"content": piece}))
                sent += 1
                ahead = begun + sent * pause - time.monotonic()
                if ahead > 0:
                    await asyncio.wait({gone}, timeout=ahead)
                else:
                    await asyncio.sleep(0)
        finally:
            gone.cancel()
            billed = self._output * sent // max(1, len(self._pieces))
            self._bill(billed)
        if self._fault is Fault.CUT:
            return await _reset(receive)
        await _chunk(send, self._event({}, self._finish_reason))
        if self._tells_usage:
            await _chunk(send, self._chunk(choices=[], usage=self._usage(self._output)))
        await _chunk(send, b"data: [DONE]\n\n")
        return await send({"type": "http.response.body", "body": b""})

    @property
    def _tells_usage(self) -> bool:
        """Whether the stream's last chunk has the usage: if the request asks for it."""
        asked = (self._body.get("stream_options") or {}).get("include_usage")
        return bool(asked) and self._fault is not Fault.NO_USAGE

    def _event(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        """A chunk of the stream with one choice; every chunk but the last has a null usage."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        return self._chunk(choices=[choice], **({"usage": None} if self._tells_usage else {}))

    def _chunk(self, **parts: Any) -> bytes:
        chunk = {**self._envelope("chat.completion.chunk"), **parts}
        return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()

    def _envelope(self, kind: str) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": int(time.time()),
            "model": self._model.gateway_name,
            "system_fingerprint": OWNER,
        }

    def _usage(self, output: int) -> dict[str, Any]:
        thought = self._stand_in.scenario.reasoning_tokens
        return {
            "prompt_tokens": self._given,
            "completion_tokens": thought + output,
            "total_tokens": self._given + thought + output,
            "prompt_tokens_details": {"cached_tokens": self._cached},
            "completion_tokens_details": {"reasoning_tokens": thought},
        }

    def _bill(self, output: int) -> None:
        output += self._stand_in.scenario.reasoning_tokens
        usage = {"input": self._given, "cached": self._cached, "output": output}
        self._stand_in.count.bill(self._model.name, self._tenant, usage)


def _read(received: bytes) -> dict[str, Any] | None:
    """The body of a request, or None if it is none: each message has a text as `content`."""
    try:
        body = json.loads(received)
        messages = body["messages"]
        texts = all(isinstance(message["content"], str) for message in messages)
    except (ValueError, TypeError, KeyError, IndexError):
        return None
    return body if messages and texts else None


@lru_cache(maxsize=4096)
def _tokens(text: str) -> int:
    return tokenizer.count_text(text)


def _prompt_tokens(messages: list[dict[str, str]]) -> int:
    """As the real tokenizer counts a chat; each text once, however often it is sent."""
    texts = sum(_tokens(message["content"]) for message in messages)
    return texts + tokenizer.MESSAGE_TOKENS * len(messages) + tokenizer.REPLY_TOKENS


def _log_probabilities(pieces: list[str]) -> list[dict[str, Any]]:
    """Log-probabilities: every token is nearly certain; the decision has 90 %."""
    decisions = {"safe", "unsafe", "needs_review"}
    return [
        {
            "token": piece,
            "bytes": list(piece.encode()),
            "logprob": -0.105361 if piece in decisions else 0.0,
            "top_logprobs": [],
        }
        for piece in pieces
    ]


def _error(status: int, code: str, message: str, retry_after: str | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    error = {"message": message, "type": "error", "code": code}
    return JSONResponse({"error": error}, status, headers)


async def _start(send: Send, media_type: str, length: int | None) -> None:
    headers = [(b"content-type", media_type.encode())]
    if length is not None:
        headers.append((b"content-length", str(length).encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _chunk(send: Send, sent: bytes) -> None:
    await send({"type": "http.response.body", "body": sent, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Wait until the client has disconnected."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _resetting(_scope: Scope, receive: Receive, _send: Send) -> None:
    await _reset(receive)


async def _reset(receive: Receive) -> None:
    """Reset the TCP connection. ASGI has no word for it, but uvicorn's `receive` knows it."""
    transport = receive.__self__.transport  # type: ignore[attr-defined] # uvicorn's bound method
    linger = struct.pack("ii", 1, 0)  # on, for no time at all: close sends RST
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
    await asyncio.sleep(0)  # let uvicorn see it, before it misses an answer
    await asyncio.sleep(0)


class Server(uvicorn.Server):
    """A server that stops at once: uvicorn's own looks ten times a second whether it should."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._stopping = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        """As uvicorn's, but for what it waits for between two ticks."""
        counter = 0
        while not await self.on_tick(counter) and not self._stopping.is_set():
            counter += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, close every connection and give up what is being answered."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self) -> None:
        """Stop, from another thread."""
        self._loop.call_soon_threadsafe(self._stopping.set)


def server(app: ASGIApp, port: int = 0) -> tuple[Server, socket.socket]:
    """A server of `app`, bound to 127.0.0.1 and to `port` or a free one."""
    # With its protocol named, asyncio switches Nagle's algorithm off: no 40 ms between two writes.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()  # a client that learns the address may connect at once
    config = uvicorn.Config(
        app,
        log_level="critical",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=0,
    )
    return Server(config), listening


def base_url(listening: socket.socket) -> str:
    """The base URL of a server on that socket."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """The base URL of `app`, served by a thread of this process while the block lasts."""
    running_server, listening = server(app, port)
    thread = threading.Thread(target=running_server.run, args=([listening],), daemon=True)
    thread.start()
    while not running_server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    try:
        yield base_url(listening)
    finally:
        running_server.stop()
        thread.join()
        listening.close()


@contextmanager
def running(
    scenario: Scenario | None = None, *, recorded: RecordedVotes | None = None, port: int = 0
) -> Iterator[StandIn]:
    """A stand-in in a thread of this process, while the block lasts."""
    stand_in = StandIn(scenario or Scenario(), recorded)
    with serving(stand_in.app(), port) as stand_in.base_url:
        yield stand_in
