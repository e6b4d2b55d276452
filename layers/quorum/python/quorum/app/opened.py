"""The container of a Lambda environment: opened once, and anew after a restore from a snapshot."""

import gc
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import boto3

from quorum.aws.snapshots import after_restore

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

    from quorum.app.clients import Clients

_T = TypeVar("_T", bound="Clients")


def opened_once(opening: Callable[[], _T]) -> "_lru_cache_wrapper[_T]":
    """`opening`, called once per environment.

    A snapshot is taken of an environment that has started and served nothing, so its container is
    not open yet. If one is, nothing of it outlives the restore: its connections lead nowhere, what
    it read may be old, and the clock by which it tells was stopped.
    """
    opened = cache(opening)

    def forget() -> None:
        if opened.cache_info().currsize:
            with suppress(Exception):  # a connection that cannot be closed is gone all the same
                opened().close()
            opened.cache_clear()
            boto3.DEFAULT_SESSION = None  # and with it the credentials that it found
            gc.collect()  # whatever else held a connection goes now, and not amid a request

    after_restore(forget)
    return opened
