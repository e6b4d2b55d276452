"""The body of an answer as it arrives, with a limit on its unpacked size.

The client asks for no compression (`accept-encoding: identity`). It still unpacks gzip and deflate
itself, piece by piece: httpx would unpack a whole chunk at once, and nested encodings as many
times as a header names them.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing

import httpx

ERROR_BYTES = 64 * 1024
"""Bytes of an error's body that are read; the rest adds nothing."""
HELD_BYTES = 16 * 1024
"""Bytes that are read ahead, about, of whoever takes them joined."""
_PIECE_BYTES = 64 * 1024
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""zlib's window bits by encoding: 31 means gzip, 47 that the first bytes decide."""
_BARE = -15
"""zlib's window bits for deflate without a frame."""
_GZIP = b"\x1f\x8b"
"""The first bytes of a gzip member."""


class BodyInvalid(Exception):
    """The reason why a body cannot be read; quotes nothing of it."""


async def pieces(response: httpx.Response, limit: int) -> AsyncGenerator[bytes]:
    """The body, unpacked; raises `BodyInvalid` beyond `limit` bytes and for a wrong encoding.

    httpx's transport errors pass unchanged.
    """
    unpacker = _unpacker(response)
    received = 0
    async for raw in _raw(response):
        for piece in (raw,) if unpacker is None else unpacker.pieces(raw):
            received += len(piece)
            if received > limit:
                raise BodyInvalid(f"the answer is longer than {limit} bytes")
            yield piece


async def joined(response: httpx.Response, limit: int, seconds: float) -> AsyncGenerator[bytes]:
    """The body as `pieces`, those that arrive at the same time as one.

    A model that is fast sends many chunks at once, and each would cost what is done for a piece.
    Raises `TimeoutError` after `seconds`.
    """
    held = _Held()
    reading = asyncio.create_task(held.read(pieces(response, limit), seconds))
    try:
        while piece := await held.take():
            yield piece
        await reading  # to raise what ended it
    finally:
        reading.cancel()
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # nobody waits for it any more


async def whole(response: httpx.Response, limit: int) -> bytearray:
    """The whole body; raises as `pieces`."""
    body = bytearray()
    async for piece in pieces(response, limit):
        body += piece
    return body


async def beginning(response: httpx.Response) -> bytes:
    """The readable part of the first `ERROR_BYTES` of an error's body."""
    body = bytearray()
    try:
        async for piece in pieces(response, ERROR_BYTES):
            body += piece
    except BodyInvalid:
        pass
    return bytes(body)


def _raw(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it arrives, or as httpx has read and unpacked it already."""
    if response.is_stream_consumed:
        return response.aiter_bytes()
    # Its own iterator would close it at the end: whoever left then would leave it half closed.
    if not isinstance(response.stream, httpx.AsyncByteStream):
        raise TypeError("an asynchronous response has an asynchronous stream")
    return aiter(response.stream)


def _unpacker(response: httpx.Response) -> "_Unpacker | None":
    """The unpacker for the body's encoding; None if nothing is to be unpacked."""
    if response.is_stream_consumed:  # httpx has unpacked it
        return None
    encodings = [
        name
        for written in response.headers.get_list("content-encoding", split_commas=True)
        if (name := written.strip().lower()) not in {"", "identity"}
    ]
    if not encodings:
        return None
    if len(encodings) > 1 or encodings[0] not in _WINDOWS:
        raise BodyInvalid("the answer's compression is not supported")
    return _Unpacker(_WINDOWS[encodings[0]])


class _Held:
    """What was read and not taken yet."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ended = False
        self._some = asyncio.Event()  # there is something to take, or nothing will follow
        self._room = asyncio.Event()

    async def read(self, pieces: AsyncGenerator[bytes], seconds: float) -> None:
        """Read to the end, but not far ahead of whoever takes."""
        size = 0
        try:
            async with asyncio.timeout(seconds), aclosing(pieces):
                async for piece in pieces:
                    if not self._pieces:
                        size = 0
                        self._some.set()
                    self._pieces.append(piece)
                    size += len(piece)
                    if size >= HELD_BYTES:
                        self._room.clear()
                        await self._room.wait()
        finally:
            self._ended = True
            self._some.set()

    async def take(self) -> bytes:
        """All that was read, as soon as there is something; nothing at the end."""
        taken = b""
        while not taken and not (self._ended and not self._pieces):
            await self._some.wait()
            taken = b"".join(self._pieces)
            self._pieces.clear()
            self._room.set()
            if not self._ended:
                self._some.clear()
        return taken


class _Unpacker:
    """Unpacks a body of one or more gzip members, or of deflate with or without zlib's frame."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._unpacking = zlib.decompressobj(window)
        self._before_output: bytes | None = b""  # to be read again without a frame

    def pieces(self, raw: bytes) -> Iterator[bytes]:
        """The unpacked pieces of what arrived; raises `BodyInvalid` if it is not compressed."""
        left = raw
        while left:
            if self._unpacking.eof:  # what follows a member is another, or means nothing
                if not left.startswith(_GZIP):
                    return
                self._unpacking = zlib.decompressobj(self._window)
            try:
                piece = self._unpacking.decompress(left, _PIECE_BYTES)
            except zlib.error:
                left = self._without_frame(left)
                continue
            if piece:
                self._before_output = None
            elif self._before_output is not None:
                self._before_output += left
            left = self._unpacking.unused_data or self._unpacking.unconsumed_tail
            yield piece

    def _without_frame(self, left: bytes) -> bytes:
        """Begin again as bare deflate, as many servers send it; returns all that came so far."""
        if self._window != _WINDOWS["deflate"] or self._before_output is None:
            raise BodyInvalid("the answer is not compressed as its header says")
        again = self._before_output + left
        self._window, self._before_output = _BARE, None
        self._unpacking = zlib.decompressobj(_BARE)
        return again
