"""The event loop of synchronous callers."""

import asyncio
import threading

from quorum.aws import loop


def test_a_loop_whose_threads_were_ended_can_be_used_again() -> None:
    """Two commands may run in one process, one after the other: in tests they do."""
    assert loop.run(asyncio.to_thread(threading.get_ident)) != threading.get_ident()
    assert loop.end(5.0)
    assert loop.run(asyncio.to_thread(threading.get_ident)) != threading.get_ident()
