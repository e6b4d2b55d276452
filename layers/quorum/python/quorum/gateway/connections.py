"""The connections to the gateways: the one used last is used next.

httpx's own pool looks at every connection for every request, and asks the system about every idle
one: with fifty calls at once that took more time than the calls themselves. Here a request takes
one connection and looks at no other, however many are open.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import httpx

Origin = tuple[str, str, int | None]
"""Scheme, host and port."""


class _Idle(NamedTuple):
    transport: httpx.AsyncHTTPTransport
    until: float


class Connections(httpx.AsyncBaseTransport):
    """A transport with a connection for each request that is under way, `limits` at most."""

    def __init__(self, limits: httpx.Limits) -> None:
        self._limits = limits
        self._places = asyncio.Semaphore(limits.max_connections or 1)
        self._encryption = httpx.create_ssl_context(trust_env=False)
        self._idle: dict[Origin, deque[_Idle]] = {}
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response; its connection is free again once it is closed.

        Raises `PoolTimeout` if none is free in time.
        """
        await self._place(request)
        origin = (request.url.scheme, request.url.host, request.url.port)
        idle = self._idle.setdefault(origin, deque())
        transport = idle.pop().transport if idle else self._new()
        try:
            response = await transport.handle_async_request(request)
        except BaseException:
            self._places.release()
            await transport.aclose()
            raise
        if not isinstance(response.stream, httpx.AsyncByteStream):
            raise TypeError("an asynchronous transport answers with an asynchronous stream")

        async def freed() -> None:
            self._places.release()
            await self._keep(idle, transport)

        return httpx.Response(
            status_code=response.status_code,
            headers=response.headers,
            stream=_Body(response.stream, freed),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close every connection; one that is in use, as soon as it is free."""
        self._closed = True
        while self._idle:
            _, idle = self._idle.popitem()
            for one in idle:
                await one.transport.aclose()

    async def _place(self, request: httpx.Request) -> None:
        if not self._places.locked():
            await self._places.acquire()  # at once
            return
        try:
            async with asyncio.timeout(request.extensions.get("timeout", {}).get("pool")):
                await self._places.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection was free in time", request=request) from None

    def _new(self) -> httpx.AsyncHTTPTransport:
        one = httpx.Limits(
            max_connections=1,
            max_keepalive_connections=1,
            keepalive_expiry=self._limits.keepalive_expiry,
        )
        return httpx.AsyncHTTPTransport(verify=self._encryption, trust_env=False, limits=one)

    async def _keep(self, idle: deque[_Idle], transport: httpx.AsyncHTTPTransport) -> None:
        """Keep the connection for the next request, and close those that were idle too long."""
        now = time.monotonic()
        idle.append(_Idle(transport, now + (self._limits.keepalive_expiry or 0.0)))
        most = self._limits.max_keepalive_connections
        while idle and (
            self._closed or idle[0].until <= now or (most is not None and len(idle) > most)
        ):
            await idle.popleft().transport.aclose()


class _Body(httpx.AsyncByteStream):
    """A response's body, which frees its connection when it is closed."""

    def __init__(self, stream: httpx.AsyncByteStream, freed: Callable[[], Awaitable[None]]) -> None:
        self._stream = stream
        self._freed = freed
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces, as they come."""
        return aiter(self._stream)

    async def aclose(self) -> None:
        """Close the body once."""
        if self._closed:
            return
        self._closed = True
        try:
            await self._stream.aclose()
        finally:
            await self._freed()
