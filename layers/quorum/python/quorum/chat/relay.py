"""From a stream of pieces to messages of a decent size, no faster than they are taken.

A piece that comes to an empty pile goes out at once: the first token waits for nothing. While a
message is under way, and until `interval_seconds` after it began, pieces pile up and go out
together. The pile is bounded: whoever adds to a full one waits, so that what is read upstream is
what can be sent.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from quorum.chat.chat import FRAME_BYTES

INTERVAL_SECONDS = 0.05
"""Between two messages: twenty a second read as a flow, and cost little."""
_ENVELOPE_BYTES = 1024
_BYTES_PER_CHARACTER = 6
"""At most, in JSON: a control character is written as an escape."""
MESSAGE_CHARACTERS = (FRAME_BYTES - _ENVELOPE_BYTES) // _BYTES_PER_CHARACTER
"""So many always fit in one frame."""
BUFFER_CHARACTERS = 4 * MESSAGE_CHARACTERS
"""What may be read ahead of a client that takes it slowly."""


class Relay:
    """A pile between who reads the pieces and who sends them; both in one event loop.

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
        self._buffer = ""
        self._closed = False
        self._changed = asyncio.Condition()
        self.sent = 0

    async def add(self, piece: str) -> None:
        """Put `piece` on the pile, as soon as the pile is not full."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._buffer) < self._limit)
            self._buffer += piece
            self._changed.notify_all()

    async def close(self) -> None:
        """Nothing more comes: what is left goes out without waiting."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()

    async def run(self) -> None:
        """Send everything until the pile is closed and empty; raises what `post` raises."""
        while text := await self._take():
            began = monotonic()
            await self._post(self.sent, text)
            self.sent += 1
            await self._pause(began + self._interval_seconds - monotonic())

    async def _take(self) -> str:
        """The next message's text; empty when there will be none."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._buffer or self._closed)
            text = self._buffer[:MESSAGE_CHARACTERS]
            self._buffer = self._buffer[MESSAGE_CHARACTERS:]
            self._changed.notify_all()
            return text

    async def _pause(self, seconds: float) -> None:
        """Let pieces pile up: for `seconds`, or until they fill a message or are the last."""
        if seconds <= 0:
            return
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(
                    lambda: self._closed or len(self._buffer) >= MESSAGE_CHARACTERS
                )
        except TimeoutError:
            return
