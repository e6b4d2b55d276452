"""Values that were read for a name, remembered for some seconds."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from quorum.core.errors import StoreUnavailable

KNOWN_NAMES = 4096
"""Names whose value a process remembers."""

T = TypeVar("T")


class _Value(NamedTuple, Generic[T]):
    """A value as last read, and until when it is used."""

    value: T
    until: float


class Remembered(Generic[T]):
    """The value of an owner's name, read again after `seconds`. Threads may share it."""

    def __init__(self, *, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._known: dict[tuple[str, str], _Value[T]] = {}

    def get(self, owner: str, name: str, read: Callable[[str, str], T]) -> T:
        """The value, by `read` if none is remembered.

        Where `read` raises `StoreUnavailable`, the last known value stays; without one it is
        raised, because the value that is meant cannot be guessed.
        """
        with self._lock:
            known = self._known.get((owner, name))
        if known is not None and self._clock() < known.until:
            return known.value
        try:
            value = read(owner, name)
        except StoreUnavailable:
            if known is None:
                raise
            value = known.value
        with self._lock:
            if len(self._known) >= KNOWN_NAMES:
                self._known.clear()
            self._known[owner, name] = _Value(value, self._clock() + self._seconds)
        return value

    def forget(self, owner: str, name: str) -> None:
        """Read it at the next look."""
        with self._lock:
            self._known.pop((owner, name), None)
