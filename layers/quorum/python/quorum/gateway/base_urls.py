"""The gateway's base URLs with their keys, read again when a key may have been rotated."""

import logging
import time
from collections.abc import Callable
from threading import Lock

from quorum.core.errors import StoreUnavailable
from quorum.gateway.client import BaseUrl

REFRESH_SECONDS = 300.0
"""Seconds for which keys are used once read: a rotated key is taken up after this at the latest."""
RETRY_SECONDS = 30.0
"""Seconds until keys are read again that could not be read although they were due."""
REFUSED_SECONDS = 5.0
"""Seconds between two reads because of a 401: a wrong key is not read again for every call."""

_LOGGER = logging.getLogger(__name__)


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
        self._due_at = clock()
        self._refusal_counts_at = clock()

    @property
    def is_fresh(self) -> bool:
        """Whether what is known was read recently enough to be used without another look."""
        return bool(self._known) and self._clock() < self._due_at

    def current(self) -> tuple[BaseUrl, ...]:
        """The base URLs with the keys of now; raises `StoreUnavailable` if none could be read."""
        with self._lock:
            return self._known if self.is_fresh else self._read_again()

    def after_refusal(self, refused: BaseUrl) -> tuple[BaseUrl, ...]:
        """The base URLs once the key of `refused` was answered with a 401."""
        with self._lock:
            # Another call may have been refused the same key, and the new one be known.
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
