"""One message sent to a webhook: to an address that was checked, once, without redirects.

The name is resolved once for a connection; every address it has must be public, and the connection
goes to one of them, so that a name which resolves to another address a moment later gains nothing.
The certificate is that of the name. Of the answer only the status is read.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from enum import StrEnum
from functools import cached_property
from http import HTTPStatus
from threading import Thread
from time import monotonic
from typing import Any, NamedTuple

import httpcore

from quorum.events.addresses import is_public, origin_of
from quorum.gateway.model_hosts import ModelHosts

SENDING_SECONDS = 10.0
"""Seconds for one try, from the connection to the answer's status."""
USER_AGENT = "Quorum-Webhooks/1"

Resolve = Callable[[str, int], list[str]]
"""The addresses of a host at a port; raises `OSError`."""


class DeliveryFailure(StrEnum):
    """Why a try failed; `status` comes with the status."""

    STATUS = "status"
    REDIRECT = "redirect"
    NOT_PUBLIC = "address_not_public"
    UNRESOLVED = "host_unknown"
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    GONE = "gone"


class Sent(NamedTuple):
    """What became of one try: the receiver's status, if it answered, and why it failed, if so."""

    status: int | None = None
    failure: DeliveryFailure | None = None


class _NotPublic(Exception):
    """The host has an address that is not public."""


class _Unresolved(Exception):
    """The host has no address."""


def within(seconds: float, resolve: Resolve, host: str, port: int) -> list[str]:
    """The addresses of a host, if they are known within some seconds; else `ConnectTimeout`.

    The system's resolver cannot be stopped, so a thread that nobody waits for any more is left to
    it.
    """
    found: Future[list[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result(resolve(host, port))
        except Exception as error:  # noqa: BLE001 it is raised in the thread that waits
            found.set_exception(error)

    Thread(target=look_up, daemon=True).start()
    if not wait([found], timeout=seconds).done:
        raise httpcore.ConnectTimeout
    return found.result()


def resolved(host: str, port: int) -> list[str]:
    """The addresses that the system knows of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _Timed(httpcore.NetworkStream):
    """A connection whose reads and writes all end at one moment, however slowly bytes come."""

    def __init__(self, stream: httpcore.NetworkStream, until: float) -> None:
        self._stream = stream
        self._until = until

    def _left(self) -> float:
        left = self._until - monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout
        return left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 ours
        return self._stream.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 ours
        self._stream.write(buffer, self._left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 ours
    ) -> httpcore.NetworkStream:
        inside = self._stream.start_tls(ssl_context, server_hostname, self._left())
        return _Timed(inside, self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were checked, unless the host is one that may be any."""

    def __init__(self, resolve: Resolve, *, anywhere: bool, until: float) -> None:
        self._network = httpcore.SyncBackend()
        self._resolve = resolve
        self._anywhere = anywhere
        self._until = until

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 one for the whole try
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            addresses = within(self._until - monotonic(), self._resolve, host, port)
        except (OSError, UnicodeError):  # the latter for a name that no resolver takes
            raise _Unresolved from None
        if not addresses:
            raise _Unresolved
        if not self._anywhere and not all(is_public(address) for address in addresses):
            raise _NotPublic
        return _Timed(self._connected(addresses, port, local_address, socket_options), self._until)

    def _connected(
        self,
        addresses: list[str],
        port: int,
        local_address: str | None,
        socket_options: Iterable[Any] | None,
    ) -> httpcore.NetworkStream:
        """A connection to the first of the addresses that takes one; raises `ConnectError`."""
        for address in addresses:
            seconds = self._until - monotonic()
            if seconds <= 0:
                raise httpcore.ConnectTimeout
            with suppress(httpcore.ConnectError):
                return self._network.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
        raise httpcore.ConnectError


class Sender:
    """Sends messages; `allowed` are the hosts that may be at any address."""

    def __init__(
        self,
        allowed: ModelHosts,
        *,
        resolve: Resolve = resolved,
        seconds: float = SENDING_SECONDS,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._seconds = seconds
        self._given_context = context

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._given_context or ssl.create_default_context()

    def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Sent:
        """Post `body` to `url`; returns what became of it, and raises nothing for a receiver."""
        network = _CheckedNetwork(
            self._resolve,
            anywhere=self._allowed.allows(origin_of(url)),
            until=monotonic() + self._seconds,
        )
        sent: dict[str | bytes, str | bytes] = {
            "user-agent": USER_AGENT,
            "content-type": "application/json",
        }
        sent.update(headers)
        try:
            with (
                httpcore.ConnectionPool(
                    ssl_context=self._context, network_backend=network, retries=0
                ) as pool,
                # The connection ends with the block: whatever else comes is not read.
                pool.stream("POST", url, headers=sent, content=body) as answer,
            ):
                return _read(answer.status)
        except _NotPublic:
            return Sent(failure=DeliveryFailure.NOT_PUBLIC)
        except _Unresolved:
            return Sent(failure=DeliveryFailure.UNRESOLVED)
        except httpcore.TimeoutException:
            return Sent(failure=DeliveryFailure.TIMED_OUT)
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError):
            return Sent(failure=DeliveryFailure.UNREACHABLE)


def _read(status: int) -> Sent:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Sent(status)
    if status < HTTPStatus.BAD_REQUEST:
        return Sent(status, DeliveryFailure.REDIRECT)
    return Sent(
        status, DeliveryFailure.GONE if status == HTTPStatus.GONE else DeliveryFailure.STATUS
    )
