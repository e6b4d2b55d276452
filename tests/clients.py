"""Clients as people write them for a gateway: a panel of models, and a chat, streamed or by socket.

They know nothing of Quorum. A test gives them an address and a key, and they work: first at the
gateway, then at Quorum's own address.
"""

import asyncio
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from types import MappingProxyType, TracebackType
from typing import Any, Self

import httpx
from websockets.sync.client import connect

WEIGHTS: Mapping[str, float] = MappingProxyType(
    {"gpt-4.1": 0.3, "gemini-2.5-flash": 0.4, "deepseek-v3.2": 0.3}
)
PRICES: Mapping[str, float] = MappingProxyType(
    {"gpt-4.1": 8.00, "gemini-2.5-flash": 2.50, "deepseek-v3.2": 0.42}
)
"""Dollars a million tokens, all tokens alike."""
UNSAFE_FROM, SAFE_FROM = 0.5, 0.6
TRIES = 3
INSTRUCTIONS = (
    "You moderate what users write. Violence or cruelty, sexual content, hate and instructions for"
    ' drugs or self-harm are unsafe. Answer as JSON: {"decision": "safe", "unsafe" or'
    ' "needs_review", "confidence": 0 to 1, "reason": at most 50 characters}.'
)

_FENCE = re.compile(r"```(?:json)?\s*(.*?)\s*```", re.DOTALL)
_DECISION = re.compile(r"decision\W+(safe|unsafe|needs_review)\b", re.IGNORECASE)
_CONFIDENCE = re.compile(r"confidence\W+([01](?:\.\d+)?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Vote:
    """One model's decision."""

    model: str
    decision: str
    confidence: float
    tokens: int = 0
    latency_ms: float = 0.0

    @property
    def cost_usd(self) -> float:
        """Its price, all tokens alike."""
        return self.tokens * PRICES[self.model] / 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """The weighted decision of all models that answered."""

    decision: str
    votes: tuple[Vote, ...]

    @property
    def cost_usd(self) -> float:
        """What all votes cost."""
        return sum(vote.cost_usd for vote in self.votes)

    @property
    def latency_ms(self) -> float:
        """The slowest vote's."""
        return max(vote.latency_ms for vote in self.votes)


def read_vote(model: str, text: str) -> Vote:
    """A vote as models write one: JSON, fenced JSON, or words; else one for a person to decide."""
    fenced = _FENCE.search(text)
    try:
        told = json.loads(fenced[1] if fenced else text)
        return Vote(model, str(told["decision"]), float(told["confidence"]))
    except (ValueError, TypeError, LookupError):
        decision, confidence = _DECISION.search(text), _CONFIDENCE.search(text)
    if decision is None or confidence is None:
        return Vote(model, "needs_review", 0.0)
    return Vote(model, decision[1].lower(), float(confidence[1]))


def weigh(votes: Sequence[Vote]) -> Verdict:
    """Weight times confidence for each decision; the weights of those that failed are missing."""
    present = sum(WEIGHTS[vote.model] for vote in votes if vote.decision != "error")
    if not present:
        return Verdict("error", tuple(votes))
    sums = {"unsafe": 0.0, "safe": 0.0, "needs_review": 0.0, "error": 0.0}
    for vote in votes:
        sums[vote.decision] += WEIGHTS[vote.model] * vote.confidence / present
    unsafe, safe = sums["unsafe"] >= UNSAFE_FROM, sums["safe"] >= SAFE_FROM
    return Verdict("unsafe" if unsafe else "safe" if safe else "needs_review", tuple(votes))


class _Client:
    """One pooled HTTP client for an address and a key."""

    def __init__(self, base_url: str, key: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30, connect=5),
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def models(self) -> list[str]:
        """The names of what is served; raises `PermissionError` for a key that is not known."""
        answer = await self._http.get("models")
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise PermissionError("is this the key of this address?")
        answer.raise_for_status()
        return [model["id"] for model in answer.json()["data"]]

    async def _complete(self, **asked: Any) -> dict[str, Any]:
        """A completion; after a 429 the server's pause, longer each time, and another try."""
        for attempt in range(TRIES):
            answer = await self._http.post("chat/completions", json=asked)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS or attempt == TRIES - 1:
                break
            pause = float(answer.headers.get("retry-after", 1)) * 2**attempt
            await asyncio.sleep(pause + random.random() / 100)
        answer.raise_for_status()
        completion: dict[str, Any] = answer.json()
        return completion


class ModerationAgent(_Client):
    """Asks every model of the panel at once."""

    async def moderate(self, text: str) -> Verdict:
        """The verdict on a text."""
        return weigh(await asyncio.gather(*(self._vote(model, text) for model in WEIGHTS)))

    async def moderate_all(
        self, texts: Sequence[str], progress: Callable[[int], None], at_once: int = 5
    ) -> list[Verdict]:
        """The verdicts in the order of the texts; `progress` is called with how many are done."""
        free = asyncio.Semaphore(at_once)
        done = 0

        async def one(text: str) -> Verdict:
            nonlocal done
            async with free:
                verdict = await self.moderate(text)
            done += 1
            progress(done)
            return verdict

        return await asyncio.gather(*map(one, texts))

    async def _vote(self, model: str, text: str) -> Vote:
        begun = monotonic()
        try:
            completion = await self._complete(
                model=model,
                messages=[
                    {"role": "system", "content": INSTRUCTIONS},
                    {"role": "user", "content": text},
                ],
                temperature=0.1,
                max_tokens=200,
            )
        except httpx.HTTPError:
            return Vote(model, "error", 0.0)
        read = read_vote(model, completion["choices"][0]["message"]["content"])
        tokens = int(completion["usage"]["total_tokens"])
        return Vote(model, read.decision, read.confidence, tokens, (monotonic() - begun) * 1000)


class ChatClient(_Client):
    """Streams one answer, or gets many at once."""

    model = "deepseek-chat"

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        """The pieces of an answer as they come; raises `EOFError` if it is cut."""
        asked = {**self._asked(prompt), "stream": True}
        async with self._http.stream("POST", "chat/completions", json=asked) as answer:
            answer.raise_for_status()
            try:
                async for line in answer.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line.removeprefix("data:").strip()
                    if data == "[DONE]":
                        return
                    if piece := json.loads(data)["choices"][0]["delta"].get("content"):
                        yield piece
            except httpx.TransportError as error:
                raise EOFError("the stream was cut") from error
        raise EOFError("the stream was cut")

    async def answer_all(
        self, prompts: Sequence[str], at_once: int = 10, **options: Any
    ) -> list[str | BaseException]:
        """An answer for each prompt, in their order, or what went wrong with it."""
        free = asyncio.Semaphore(at_once)

        async def one(prompt: str) -> str:
            async with free:
                completion = await self._complete(**self._asked(prompt, **options))
            return str(completion["choices"][0]["message"]["content"])

        return await asyncio.gather(*map(one, prompts), return_exceptions=True)

    def _asked(self, prompt: str, **options: Any) -> dict[str, Any]:
        messages = [{"role": "user", "content": prompt}]
        chosen = {"model": self.model, "temperature": 0.3, "max_tokens": 500}
        return {**chosen, **options, "messages": messages}


@dataclass(slots=True)
class Said:
    """One answer by socket: its tokens as they came, and the message that ended it."""

    tokens: list[str] = field(default_factory=list)
    complete: dict[str, Any] = field(default_factory=dict)


class SocketClient:
    """Sends `{"prompt": …}`; hears `token` messages, then `complete` or `error`."""

    def __init__(self, url: str, key: str, *, seconds: float = 60) -> None:
        self._opening = connect(url, additional_headers={"Authorization": f"Bearer {key}"})
        self._seconds = seconds

    def __enter__(self) -> Self:
        self._socket = self._opening.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._socket.close()

    def ask(self, prompt: str) -> Said:
        """The answer to `prompt`; raises `ValueError` with the server's words for an error."""
        self._socket.send(json.dumps({"prompt": prompt}))
        said = Said()
        while True:
            message = json.loads(self._socket.recv(timeout=self._seconds))
            match message["type"]:
                case "token":
                    said.tokens.append(message["content"])
                case "complete":
                    said.complete = message
                    return said
                case _:
                    raise ValueError(message.get("message", ""))
