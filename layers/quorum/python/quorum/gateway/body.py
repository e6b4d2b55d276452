"""The body of an answer as it arrives, with a limit on its unpacked size.

The client asks for no compression (`accept-encoding: identity`). It still unpacks gzip and deflate
itself, piece by piece: httpx would unpack a whole chunk at once, and nested encodings as many
times as a header names them.
"""

import zlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx

ERROR_BYTES = 64 * 1024
"""Bytes of an error's body that are read; the rest adds nothing."""
_PIECE_BYTES = 64 * 1024
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""zlib's window bits by encoding: 31 means gzip, 47 that the first bytes decide."""


class BodyInvalid(Exception):
    """The reason why a body cannot be read; quotes nothing of it."""


class _Unpacking(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


async def pieces(response: "httpx.Response", limit: int) -> AsyncGenerator[bytes]:
    """The body, unpacked; raises `BodyInvalid` beyond `limit` bytes and for a wrong encoding.

    httpx's transport errors pass unchanged.
    """
    received = 0
    async for piece in _unpacked(response):
        received += len(piece)
        if received > limit:
            raise BodyInvalid(f"the answer is longer than {limit} bytes")
        yield piece


async def whole(response: "httpx.Response", limit: int) -> bytearray:
    """The whole body; raises as `pieces`."""
    body = bytearray()
    async for piece in pieces(response, limit):
        body += piece
    return body


async def beginning(response: "httpx.Response") -> bytes:
    """The readable part of the first `ERROR_BYTES` of an error's body."""
    body = bytearray()
    try:
        async for piece in pieces(response, ERROR_BYTES):
            body += piece
    except BodyInvalid:
        pass
    return bytes(body)


async def _unpacked(response: "httpx.Response") -> AsyncGenerator[bytes]:
    if response.is_stream_consumed:  # httpx has read and unpacked all of it already
        async for piece in response.aiter_bytes():
            yield piece
        return
    unpacking = _unpacking(response)
    async for raw in response.aiter_raw():
        if unpacking is None:
            yield raw
            continue
        left = raw
        while left:
            try:
                piece = unpacking.decompress(left, _PIECE_BYTES)
            except zlib.error:
                raise BodyInvalid("the answer is not compressed as its header says") from None
            left = unpacking.unconsumed_tail
            yield piece


def _unpacking(response: "httpx.Response") -> "_Unpacking | None":
    """The unpacker for the body's encoding; None if the body is not compressed."""
    encodings = [
        name
        for written in response.headers.get_list("content-encoding", split_commas=True)
        if (name := written.strip().lower()) not in {"", "identity"}
    ]
    if not encodings:
        return None
    if len(encodings) > 1 or encodings[0] not in _WINDOWS:
        raise BodyInvalid("the answer's compression is not supported")
    return zlib.decompressobj(_WINDOWS[encodings[0]])
