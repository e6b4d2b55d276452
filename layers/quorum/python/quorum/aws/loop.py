"""Asynchronous code for synchronous callers: one event loop per Lambda environment."""

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_LOGGER = logging.getLogger(__name__)
_T = TypeVar("_T")
_WORKERS = "gateway-worker"
"""The name of the threads that do what blocks: the stores' calls, and look-ups of names."""


class _Loop:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._workers: ThreadPoolExecutor | None = None

    def end(self, seconds: float) -> bool:
        with self._lock:
            ended, self._workers = self._workers, ThreadPoolExecutor(thread_name_prefix=_WORKERS)
            if self._loop is not None:
                self._loop.set_default_executor(self._workers)  # what comes after has threads anew
        if ended is not None:
            ended.shutdown(wait=False, cancel_futures=True)
        until = time.monotonic() + seconds
        working = [one for one in threading.enumerate() if one.name.startswith(_WORKERS)]
        for thread in working:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in working)

    def run(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                loop = asyncio.new_event_loop()
                loop.set_exception_handler(_log_lost)
                if self._workers is None:
                    self._workers = ThreadPoolExecutor(thread_name_prefix=_WORKERS)
                loop.set_default_executor(self._workers)
                thread = threading.Thread(target=loop.run_forever, name="gateway", daemon=True)
                thread.start()
                atexit.register(_end, loop, thread)
                self._loop = loop
            return self._loop


def _log_lost(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that nobody waits for; asyncio's own message shows the values of the task."""
    _LOGGER.error("an error in the event loop", exc_info=context.get("exception"))


def _end(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


_LOOP = _Loop()


def run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Wait for the coroutine's result. All calls share one loop, so connections stay open.

    For handlers and commands; do not call it inside a coroutine.
    """
    return _LOOP.run(coroutine)


def end(seconds: float) -> bool:
    """End the loop's threads, before a process ends; returns whether all did within `seconds`.

    The interpreter would wait for those that did not, and a look-up of a name cannot be
    interrupted: where the network's resolver does not answer, it takes minutes. What is run
    afterwards all the same (another command of the same process) has threads of its own.
    """
    return _LOOP.end(seconds)
