"""Time-outs and retries of every AWS client: one place, so that no client waits for a minute."""

from typing import NamedTuple

from botocore import __version__ as botocore_version
from botocore.config import Config

CONNECT_SECONDS = 1
"""Seconds for a connection to any AWS service."""
USER_AGENT = f"Botocore/{botocore_version} quorum"
"""What AWS's logs say of who called. botocore's own is put together anew, twice for every request:
a fifth of the processor's time of a read."""
CONNECTIONS = 20
"""Connections of a client that are kept open: as many as there are threads that use it."""


class Patience(NamedTuple):
    """The seconds that one try waits for an answer, and the tries, the first one included.

    Whatever has no answer after all tries fails. A function that calls must live longer than that:
    killed, it could neither say what failed nor do without it.
    """

    read_seconds: float
    attempts: int


LONG = Patience(3, 3)
"""15 seconds with connections and pauses: of functions that have 20 and more."""
WITHIN_A_VOTE = Patience(2, 2)
"""7 seconds: a voter has 11 in all."""
ONCE = Patience(1, 1)
"""2 seconds: for what a function does without if there is no answer."""
BRIEF = Patience(1, 2)
"""5 seconds: the aggregate step has 6 in all, the authorizer 8 for two calls."""


def client_config(read_seconds: float, attempts: int) -> Config:
    """Time-outs and retries of an AWS client; `attempts` counts the first try."""
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
        user_agent=USER_AGENT,
    )
