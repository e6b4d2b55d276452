"""The environment of the process. No other module of the package reads it."""

import os


def variable(name: str) -> str | None:
    """The environment variable called `name`."""
    return os.environ.get(name)


def loader_environment() -> dict[str, str]:
    """What a child process needs to start this Python, without Lambda's secrets."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}
