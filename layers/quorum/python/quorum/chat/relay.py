"""A relay that joins a stream of pieces into messages, no faster than they are taken.

A piece that meets an empty buffer is sent at once: the first token never waits. While a message is
being sent, and until `interval_seconds` after it began, pieces are collected and sent together. The
buffer is bounded: adding to a full one waits, so that no more is read than can be sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from quorum.chat.chat import FRAME_BYTES

INTERVAL_SECONDS = 0.05
"""Seconds between two messages: twenty a second look like a flow, and cost little."""
_ENVELOPE_BYTES = 1024
_BYTES_PER_CHARACTER = 6
"""Bytes of a character in JSON at most: a control character is written as an escape."""
MESSAGE_CHARACTERS = (FRAME_BYTES - _ENVELOPE_BYTES) // _BYTES_PER_CHARACTER
"""Characters that always fit in one frame."""
BUFFER_CHARACTERS = 4 * MESSAGE_CHARACTERS
"""Characters that are read ahead of a slow client at most."""


class Relay:
    """A buffer between the reader of pieces and their sender, both in one event loop.

    `post` sends one piece of text with its index, counted from 0.
    """

    def __init__(
        self,
        post: Callable[[int, str], Awaitable[None]],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
        limit: int = BUFFER_CHARACTERS,
    ) -> None:
        self._post = post
        self._interval_seconds = interval_seconds
        self._limit = limit
        self._pieces: list[str] = []
        self._length = 0
        self._closed = False
        self._some = asyncio.Event()  # there is something to send, or nothing will follow
        self._full = asyncio.Event()  # there is a whole message, or nothing will follow
        self._room = asyncio.Event()  # the buffer is not full
        self._room.set()
        self._first = asyncio.Event()  # the first message is sent
        self.sent = 0

    async def add(self, piece: str) -> None:
        """Add `piece`, as soon as the buffer is not full."""
        while not self._room.is_set():
            await self._room.wait()
        self._pieces.append(piece)
        self._length += len(piece)
        self._tell()

    async def begun(self) -> None:
        """Wait until the first message is sent."""
        await self._first.wait()

    async def close(self) -> None:
        """Note that nothing follows, so that the rest is sent without waiting."""
        self._closed = True
        self._tell()

    async def run(self) -> None:
        """Send until the relay is closed and its buffer empty; errors of `post` pass unchanged."""
        while text := await self._take():
            began = monotonic()
            await self._post(self.sent, text)
            self.sent += 1
            self._first.set()
            await self._pause(began + self._interval_seconds - monotonic())

    async def _take(self) -> str:
        """The next message's text; empty at the end."""
        await self._some.wait()
        text = "".join(self._pieces)
        rest = text[MESSAGE_CHARACTERS:]
        self._pieces, self._length = [rest] if rest else [], len(rest)
        self._tell()
        return text[:MESSAGE_CHARACTERS]

    async def _pause(self, seconds: float) -> None:
        """Collect pieces for `seconds`, or until they fill a message or are the last."""
        if seconds <= 0:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._full.wait()

    def _tell(self) -> None:
        """Wake whoever waits for the buffer as it is now."""
        for event, holds in (
            (self._some, self._closed or self._length > 0),
            (self._full, self._closed or self._length >= MESSAGE_CHARACTERS),
            (self._room, self._length < self._limit),
        ):
            if holds:
                event.set()
            else:
                event.clear()
