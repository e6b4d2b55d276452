"""A model's answer as the tokens arrive, from the server-sent events of `POST /chat/completions`.

Format: the OpenAI API reference, "The chat completion chunk object".
"""

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx

from quorum_client.errors import StreamCut, error_of_request
from quorum_client.requests import Send, encoded, given

_DONE = "[DONE]"
Message = Mapping[str, str]
"""`role` (`system`, `user` or `assistant`) and `content`."""


def request(prompt: str | Sequence[Message], system: str | None, options: dict[str, Any]) -> Send:
    """The request for an answer to a prompt, or to the turns of a conversation."""
    turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
    if system is not None:
        turns.insert(0, {"role": "system", "content": system})
    asked = given(**options) | {
        "messages": turns,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    # A second answer would be another one, and paid for again.
    return Send("POST", "chat/completions", body=encoded(asked), repeatable=False, stream=True)


class Hearing:
    """What was heard of an answer so far.

    After its end `finish_reason` says how it ended (`stop`, `length`, `content_filter`),
    `cost_usd` what it cost, `cached` whether it came from the cache, and `refusal` the words in
    which the model refused, if it did.
    """

    def __init__(self) -> None:
        self.text = ""
        self.finish_reason: str | None = None
        self.refusal: str | None = None
        self.cost_usd: Decimal | None = None
        self.cached = False
        self._over = False

    def hear(self, line: str) -> str:
        """The piece of the answer that a line brings; empty if none."""
        name, _, data = line.partition(":")
        if name != "data" or self._over:
            return ""
        if data.strip() == _DONE:
            self._over = True
            return ""
        try:
            chunk = json.loads(data)
        except (ValueError, RecursionError):
            raise self.cut("a part of the answer is not JSON") from None
        if "error" in chunk:
            raise self.cut(str(chunk["error"].get("message", "the model failed")))
        if "cost_usd" in chunk:
            self.cost_usd, self.cached = Decimal(chunk["cost_usd"]), bool(chunk.get("cached"))
        piece = ""
        for choice in chunk.get("choices", ()):
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            delta = choice.get("delta", {})
            piece += delta.get("content") or ""
            if delta.get("refusal"):
                self.refusal = (self.refusal or "") + delta["refusal"]
        self.text += piece
        return piece

    def ended(self) -> None:
        """Raise `StreamCut` if the connection ended before the answer did."""
        if not self._over:
            raise self.cut("the connection ended before the answer did")

    def cut(self, message: str) -> StreamCut:
        """The error of an answer that did not end, with the text so far."""
        error = StreamCut(message, code="stream_cut", retryable=True)
        error.received = self.text
        return error


class Tokens(Hearing):
    """An answer to iterate over, once; it closes its connection at the end or by `close`."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self._answer = answer

    def __iter__(self) -> Iterator[str]:
        """The pieces of the answer as they arrive; raises `StreamCut`."""
        with closing(self._answer):
            try:
                yield from filter(None, map(self.hear, self._answer.iter_lines()))
            except httpx.RequestError as error:
                raise self.cut(error_of_request(error).message) from error
        self.ended()

    def close(self) -> None:
        """Stop listening."""
        self._answer.close()


class AsyncTokens(Hearing):
    """As `Tokens`, for `async for`."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__()
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[str]:
        """The pieces of the answer as they arrive; raises `StreamCut`."""
        try:
            async for line in self._answer.aiter_lines():
                if piece := self.hear(line):
                    yield piece
        except httpx.RequestError as error:
            raise self.cut(error_of_request(error).message) from error
        finally:
            await self._answer.aclose()
        self.ended()

    async def aclose(self) -> None:
        """Stop listening."""
        await self._answer.aclose()
