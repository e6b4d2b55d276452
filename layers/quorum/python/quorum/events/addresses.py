"""Where a webhook may lead: URLs, and the addresses that are on the public internet. Pure.

A tenant names any URL, so without this a server inside the deployment's network could be asked by
it. The host's name says nothing: whoever owns it can have it resolve to any address, and to another
one a moment later. So every address is checked, and the connection goes to one that was.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from quorum.core.errors import InvalidRequest
from quorum.gateway.model_hosts import ModelHosts

URL_LIMIT = 2048
"""Characters of a URL."""

_NOT_PUBLIC = tuple(
    IPv4Network(one)
    for one in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' translation
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local: the metadata of instances, tasks and Lambdas
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # multicast tunnels
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
"""IPv4 addresses that are not public servers' (IANA's special-purpose registry, and multicast)."""
_PUBLIC_V6 = IPv6Network("2000::/3")
"""The one block from which public IPv6 addresses are given."""
_NOT_PUBLIC_V6 = tuple(
    IPv6Network(one)
    for one in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which holds any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
        "3ffe::/16",  # 6bone, given back
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address, as the system resolves names to, is a public server's.

    IPv4 inside IPv6 (mapped, translated, tunnelled) is not: no name of a public server needs it.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        return _is_public_v6(parsed)
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_PUBLIC)


def _is_public_v6(address: IPv6Address) -> bool:
    return (
        address.scope_id is None
        and address in _PUBLIC_V6
        and not any(address in network for network in _NOT_PUBLIC_V6)
    )


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL that `require_url` took."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def require_url(url: str, allowed: ModelHosts) -> None:
    """Raise `InvalidRequest` for a URL that no webhook may have.

    It is `https://`, a host's name, and no user and no fragment. A host that the deployment lists
    (`AllowedWebhookHosts`) may be an address, a local name, or without https.
    """
    parts = _parts(url)
    if parts is None:
        raise InvalidRequest(
            "url: must be https://host[:port][/path][?query] in ASCII, without a user and a"
            " fragment",
            code="invalid_url",
            field="url",
        )
    if allowed.allows(origin_of(url)):
        return
    if parts.scheme != "https" or not _is_public_name(parts.hostname or ""):
        raise InvalidRequest(
            "url: must be https and a public host's name, not an address; the deployment's"
            " parameter AllowedWebhookHosts names exceptions",
            code="host_not_allowed",
            field="url",
        )


def _parts(url: str) -> SplitResult | None:
    """The parts of an http(s) URL that every program reads alike; None for any other."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    plain = (
        parts.scheme in ("https", "http")
        and bool(parts.hostname)
        and url.isascii()
        and url.isprintable()
        and not set(url) & set("\\ #")
        and not set(parts.netloc) & set("@%")
        and port != 0
    )
    return parts if plain else None


_LABEL_CHARACTERS, _NAME_CHARACTERS = 63, 253
"""Characters of a host's name and of each part of it, at most (RFC 1035)."""


def _is_public_name(host: str) -> bool:
    """Whether a host is a name with a dot, whose last part is no number.

    Systems read `2130706433`, `0x7f.1` and `0177.0.0.1` as addresses.
    """
    labels = host.removesuffix(".").split(".")
    last = labels[-1]
    return (
        len(labels) > 1
        and len(host) <= _NAME_CHARACTERS
        and all(0 < len(label) <= _LABEL_CHARACTERS for label in labels)
        and not last[:1].isdigit()
        and ":" not in host
    )
