"""The clients of models that were put as data: of the deployment's gateway, or of their own server.

A server of a model's own is sent only a key that the deployment's secret holds for it: under the
name in the model's entry, else under its base URL or host. It never gets the key of the gateway,
whatever name that is stored under, nor that for all others (`*`).
"""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

import httpx

from quorum.core.errors import InvalidRequest, ModelUnavailable, StoreUnavailable
from quorum.core.model_entry import ModelEntry
from quorum.gateway.base_urls import BaseUrl, RotatingBaseUrls, parse_base_urls
from quorum.gateway.client import Gateway, GatewaySettings
from quorum.gateway.model_hosts import ModelHosts

if TYPE_CHECKING:
    from quorum.gateway.breaker import Breaker
    from quorum.gateway.limiter import Limiter

SECRET = "the deployment's secret"  # noqa: S105 what people call it
"""Where keys come from, for people."""
KEPT_CLIENTS = 64
"""Clients that a process keeps, each with its open connections."""

Keys = Callable[[], "str | dict[str, object]"]
"""A function that reads the secret: a text, or the object that it holds as JSON."""


def _none() -> None:
    """Nothing: no breaker and no limit is shared."""


class ModelGateways:
    """A client for each server; each keeps its connections between calls and changes of keys.

    `gateway_urls` are the gateway's base URLs, separated by commas: a key that is stored under one
    of them or its host is the gateway's.
    """

    def __init__(
        self,
        hosts: ModelHosts,
        gateway: Callable[[], Gateway],
        keys: Keys,
        *,
        gateway_urls: str = "",
        breaker: "Callable[[], Breaker | None]" = _none,
        limiter: "Callable[[], Limiter | None]" = _none,
    ) -> None:
        self._hosts = hosts
        self._gateway = gateway
        self._keys = keys
        self._keys_of_gateway = _names_of_keys(gateway_urls)
        self._breaker = breaker
        self._limiter = limiter
        self._lock = Lock()
        self._clients: dict[tuple[str, str | None], Gateway] = {}

    def of(self, entry: ModelEntry) -> Gateway:
        """The client of the model with that entry.

        Raises `ModelUnavailable` if its host is not allowed or its key is missing, and
        `StoreUnavailable` if no key can be read.
        """
        if entry.base_url is None:
            return self._gateway()
        if not self._hosts.allows(entry.base_url):
            raise ModelUnavailable("the deployment no longer allows the host of this model")
        if entry.key in self._keys_of_gateway:
            raise ModelUnavailable("the key that the model's entry names is the gateway's")
        whose = (entry.base_url, entry.key)
        with self._lock:
            if whose not in self._clients:
                if len(self._clients) >= KEPT_CLIENTS:
                    self._clients.clear()
                self._clients[whose] = self._opened(*whose)
            return self._clients[whose]

    def base_urls(self, entry: ModelEntry) -> tuple[BaseUrl, ...]:
        """Where the model is called, with the current keys; raises as `of`."""
        return self.of(entry).base_urls

    def require(self, entry: ModelEntry) -> None:
        """Raise `InvalidRequest` if the deployment does not allow the entry's base URL or key."""
        if entry.base_url is not None:
            self._hosts.require(entry.base_url)
        if entry.key in self._keys_of_gateway:
            message = "key: names the gateway's key, which no other server gets"
            raise InvalidRequest(message, code="invalid_key", field="key")

    async def close(self) -> None:
        """Close the connections to servers of models' own."""
        for client in self._clients.values():
            await client.close()

    def _opened(self, base_url: str, key: str | None) -> Gateway:
        rotating = RotatingBaseUrls(lambda: (_with_key(base_url, key, self._keys()),))
        try:
            current = rotating.current()
        except StoreUnavailable as error:
            if isinstance(error.__cause__, ModelUnavailable):  # the secret was read, and lacks it
                raise error.__cause__ from None
            raise
        return Gateway(
            GatewaySettings(base_urls=current),
            breaker=self._breaker(),
            limiter=self._limiter(),
            base_urls=rotating,
        )


def _names_of_keys(urls: str) -> frozenset[str]:
    """The names under which a secret may hold the keys of these base URLs."""
    named = [url.strip().rstrip("/") for url in urls.split(",") if url.strip()]
    return frozenset((*named, *(httpx.URL(url).host for url in named)))


def _with_key(base_url: str, name: str | None, keys: "str | dict[str, object]") -> BaseUrl:
    """The base URL with its key; raises `ModelUnavailable` if the named one is missing."""
    url = base_url.rstrip("/")
    held = {} if isinstance(keys, str) else {one: key for one, key in keys.items() if one != "*"}
    if name is not None:
        if name not in held:
            raise ModelUnavailable(f"{SECRET} has no key of the name in the model's entry")
        held = {url: held[name]}
    try:
        (found,) = parse_base_urls(url, held, key_source=SECRET)
    except ValueError:
        if name is not None:
            raise ModelUnavailable(f"the key in {SECRET} cannot be sent") from None
        return BaseUrl(url=url, key_source="none")
    return found
