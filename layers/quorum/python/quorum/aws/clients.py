"""Time-outs and retries of every AWS client: one place, so that no client waits for a minute."""

from botocore.config import Config

CONNECT_SECONDS = 1
"""Seconds for a connection to any AWS service."""
READ_SECONDS = 3
"""Seconds for an answer of a store: the authorizer has 5 s for all it does."""
CONNECTIONS = 20
"""Connections of a client that are kept open: as many as there are threads that use it."""


def client_config(*, read_seconds: float = READ_SECONDS, attempts: int = 3) -> Config:
    """Time-outs and retries of an AWS client; `attempts` counts the first try."""
    return Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=CONNECTIONS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        tcp_keepalive=True,
    )
