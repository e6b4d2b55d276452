"""The gateway's base URLs with their keys, which are read again so that keys can be rotated."""

import logging
import time
from collections.abc import Callable, Mapping
from threading import Lock

import httpx
from pydantic import SecretStr

from quorum.core.errors import StoreUnavailable
from quorum.core.models import Frozen

REFRESH_SECONDS = 300.0
"""Seconds for which keys are used once read, so the longest time until a rotated key is in use."""
RETRY_SECONDS = 30.0
"""Seconds until the next try after keys could not be read."""
REFUSED_SECONDS = 5.0
"""Seconds between two reads after a 401: a wrong key is not read again for every call."""

_PORTS = 65_535
"""The highest port."""
NO_KEY = "not-set"
"""The secret's text until a key is put there, as the template has it."""

_LOGGER = logging.getLogger(__name__)


class BaseUrl(Frozen):
    """One address of a gateway, with its key.

    `key_source` says where the key came from, for people; the key itself is shown nowhere.
    """

    url: str
    key: SecretStr = SecretStr("")
    key_source: str = "GATEWAY_API_KEY"

    @property
    def has_key(self) -> bool:
        """Whether a key was ever put there."""
        return self.key.get_secret_value() != NO_KEY


def parse_base_urls(
    urls: str, keys: str | Mapping[str, object], *, key_source: str = "GATEWAY_API_KEY"
) -> tuple[BaseUrl, ...]:
    """The ordered base URLs in `GATEWAY_BASE_URL`, each with its key.

    `urls` is comma-separated. `keys` is either comma-separated too, one for each URL in the same
    order or one for all of them; or a mapping from base URL or host to key, with `*` for those it
    does not name. `key_source` says where they came from, for people. Raises `ValueError` for a URL
    that is not http(s) or is named twice, for a URL without a key, and for a key that cannot be
    sent in a header; no message quotes a key.
    """
    written = [url.strip().rstrip("/") for url in urls.split(",") if url.strip()]
    if not written:
        raise ValueError("at least one base URL is needed")
    for url in written:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"{url!r} is not a URL: {error}") from None
        names_a_host = parsed.host and (parsed.port or 1) <= _PORTS
        if parsed.scheme not in {"http", "https"} or not names_a_host:
            raise ValueError(f"{url!r} is not an http(s) base URL")
    if len(set(written)) < len(written):
        raise ValueError("a base URL is named twice")
    if isinstance(keys, str):
        listed = [key.strip() for key in keys.split(",")]
        if len(listed) not in {1, len(written)}:
            raise ValueError(f"{len(listed)} keys in {key_source} for {len(written)} base URLs")
        keys = dict(zip(written, listed if len(listed) > 1 else listed * len(written), strict=True))
    return tuple(_with_key(url, keys, key_source) for url in written)


def _with_key(url: str, keys: Mapping[str, object], key_source: str) -> BaseUrl:
    name = next((name for name in (url, httpx.URL(url).host, "*") if name in keys), None)
    if name is None:
        raise ValueError(f"there is no key for {url} in {key_source}")
    found = keys[name]
    key = found.strip() if isinstance(found, str) else ""
    # The key becomes a header, which takes no other characters. The message does not quote it.
    if not key or not all("!" <= character <= "~" for character in key):
        raise ValueError(f"the key for {url} in {key_source} is not printable ASCII without spaces")
    return BaseUrl(url=url, key=SecretStr(key), key_source=key_source)


class RotatingBaseUrls:
    """Base URLs whose keys are read by `read`, and again after `REFRESH_SECONDS` or a 401.

    `read` may block and may raise anything; while it fails the known keys stay in use. Threads may
    share one object. `clock` returns seconds.
    """

    def __init__(
        self,
        read: Callable[[], tuple[BaseUrl, ...]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = Lock()
        self._known: tuple[BaseUrl, ...] = ()
        self._due_at = clock()
        self._refusal_counts_at = clock()

    @property
    def is_fresh(self) -> bool:
        """Whether the keys were read recently enough to be used without reading them again."""
        return bool(self._known) and self._clock() < self._due_at

    def current(self) -> tuple[BaseUrl, ...]:
        """The base URLs with their current keys; raises `StoreUnavailable` if there are none."""
        with self._lock:
            return self._known if self.is_fresh else self._read_again()

    def after_refusal(self, refused: BaseUrl) -> tuple[BaseUrl, ...]:
        """The base URLs after the key of `refused` was answered with a 401."""
        with self._lock:
            # Another call may have met the same 401 and read the new key already.
            if refused not in self._known or self._clock() < self._refusal_counts_at:
                return self._known
            self._refusal_counts_at = self._clock() + REFUSED_SECONDS
            return self._read_again()

    def _read_again(self) -> tuple[BaseUrl, ...]:
        seconds = REFRESH_SECONDS
        try:
            self._known = self._read()
        except Exception as error:
            if not self._known:
                raise StoreUnavailable("the gateway's key could not be read") from error
            # The message may quote the secret, so only the kind of error is logged.
            _LOGGER.warning("the gateway's key could not be read again: %s", type(error).__name__)
            seconds = RETRY_SECONDS
        self._due_at = self._clock() + seconds
        return self._known
