"""The body of an answer as it arrives: never more of it than may be, however it is packed.

The client asks for no compression (`accept-encoding: identity`) and unpacks gzip and deflate
itself all the same, piece by piece: httpx would unpack a whole chunk at once, and one encoding
inside another as often as a header names it.
"""

import zlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import httpx

ERROR_BYTES = 64 * 1024
"""Bytes of an error's body that are read; the rest says nothing more."""
_PIECE_BYTES = 64 * 1024
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 47}
"""zlib's word for the wrapping: gzip, or (47) told by the first bytes."""


class BodyInvalid(Exception):
    """Why a body cannot be read, in words that quote nothing of it."""


class _Unpacking(Protocol):
    @property
    def unconsumed_tail(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


async def pieces(response: "httpx.Response", limit: int) -> AsyncGenerator[bytes]:
    """The body, unpacked; raises `BodyInvalid` beyond `limit` bytes and for what is not packed so.

    Raises httpx's errors of transport as they are.
    """
    received = 0
    async for piece in _unpacked(response):
        received += len(piece)
        if received > limit:
            raise BodyInvalid(f"the answer is over {limit} bytes")
        yield piece


async def whole(response: "httpx.Response", limit: int) -> bytearray:
    """The whole body; raises as `pieces`."""
    body = bytearray()
    async for piece in pieces(response, limit):
        body += piece
    return body


async def beginning(response: "httpx.Response") -> bytes:
    """What can be read of the first `ERROR_BYTES` of an error's body."""
    body = bytearray()
    try:
        async for piece in pieces(response, ERROR_BYTES):
            body += piece
    except BodyInvalid:
        pass
    return bytes(body)


async def _unpacked(response: "httpx.Response") -> AsyncGenerator[bytes]:
    if response.is_stream_consumed:  # httpx has it all already, and unpacked
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
                raise BodyInvalid("the answer is not packed as it says") from None
            left = unpacking.unconsumed_tail
            yield piece


def _unpacking(response: "httpx.Response") -> "_Unpacking | None":
    """How the body is to be unpacked; None where it is not packed."""
    encodings = [
        name
        for written in response.headers.get_list("content-encoding", split_commas=True)
        if (name := written.strip().lower()) not in {"", "identity"}
    ]
    if not encodings:
        return None
    if len(encodings) > 1 or encodings[0] not in _WINDOWS:
        raise BodyInvalid("the answer is packed in a way that was not asked for")
    return zlib.decompressobj(_WINDOWS[encodings[0]])
