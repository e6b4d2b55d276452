"""The hosts that base URLs of models may lead to. Pure.

An operator of the API may put any base URL, so a server inside the deployment's network could be
asked by it, or be sent content. Only hosts that the deployment names are asked, each written as
`host` or `host:port` for https, or `http://host[:port]` for a server without it. Nothing matches by
a part: a private or a local address is asked only where it is listed itself, and what a name
resolves to has to have the certificate of that name. No redirect is followed.
"""

from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from quorum.core.errors import InvalidRequest

_PORTS = {"https": 443, "http": 80}


class Host(NamedTuple):
    """Where a server listens."""

    scheme: str
    name: str
    port: int


class ModelHosts:
    """The hosts in a deployment's parameter: a list separated by commas. None are allowed by it."""

    def __init__(self, listed: str) -> None:
        self.listed = listed
        self._hosts = {
            host
            for written in listed.split(",")
            if (host := _host(written if "://" in written else f"https://{written.strip()}"))
        }

    def allows(self, base_url: str) -> bool:
        """Whether models at `base_url` may be asked."""
        return _host(base_url) in self._hosts

    def require(self, base_url: str) -> None:
        """Raise `InvalidRequest` for a base URL that is none, or whose host is not allowed."""
        found = _host(base_url)
        if found is None:
            raise InvalidRequest(
                "base_url: must be https://host[:port][/path], without a user, a query or a"
                " fragment",
                code="invalid_base_url",
                field="base_url",
            )
        if found not in self._hosts:
            raise InvalidRequest(
                f"base_url: the deployment does not allow {found.scheme}://{found.name}:"
                f"{found.port}; its parameter AllowedModelHosts names the hosts that it allows",
                code="host_not_allowed",
                field="base_url",
                limit=self.listed,
            )


def _host(url: str) -> Host | None:
    """The host of an http(s) URL; None for what is no plain base URL."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if not _is_plain(parts) or parts.hostname is None:
        return None
    return Host(parts.scheme, parts.hostname.rstrip("."), port or _PORTS[parts.scheme])


def _is_plain(parts: SplitResult) -> bool:
    """Whether a URL has a scheme we know, a host in ASCII, a path at most, and nothing else."""
    written = parts.geturl()
    return (
        parts.scheme in _PORTS
        and bool(parts.hostname)
        and written.isascii()
        and written.isprintable()
        and not set(written) & set("\\ ?#@%")
        and ".." not in parts.path.split("/")
    )
