"""The gateway's base URLs with their keys, read again when a key may have been rotated."""

import time
from collections.abc import Callable
from threading import Lock

from quorum.core.errors import StoreUnavailable
from quorum.gateway.client import BaseUrl

REFRESH_SECONDS = 300.0
"""Seconds for which keys are used once read: a rotated key is taken up after this at the latest."""
REFUSED_SECONDS = 5.0
"""Seconds between two reads after a 401, so that a wrong key is not read again for every call."""


class RotatingBaseUrls:
    """Base URLs whose keys are read by `read`, and again after `REFRESH_SECONDS` or a 401.

    `read` may block and may raise anything; keys that are known stay in use while it fails. Threads
    may share one. `clock` gives seconds.
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
        self._read_at = -REFRESH_SECONDS

    @property
    def is_fresh(self) -> bool:
        """Whether what is known was read recently enough to be used without another look."""
        return bool(self._known) and self._clock() - self._read_at < REFRESH_SECONDS

    def current(self) -> tuple[BaseUrl, ...]:
        """The base URLs with the keys of now; raises `StoreUnavailable` if none could be read."""
        with self._lock:
            return self._refreshed(REFRESH_SECONDS)

    def after_refusal(self, refused: BaseUrl) -> tuple[BaseUrl, ...]:
        """The base URLs once the key of `refused` was answered with a 401."""
        with self._lock:
            changed = refused not in self._known
            return self._known if changed else self._refreshed(REFUSED_SECONDS)

    def _refreshed(self, seconds: float) -> tuple[BaseUrl, ...]:
        if self._known and self._clock() - self._read_at < seconds:
            return self._known
        try:
            self._known = self._read()
        except Exception as error:
            if not self._known:
                raise StoreUnavailable("the gateway's key could not be read") from error
        self._read_at = self._clock()
        return self._known
