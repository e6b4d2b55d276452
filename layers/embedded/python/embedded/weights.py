r"""The weights file of a trained voter: small, checked, and never a pickle.

Layout, little-endian::

    8 bytes   b"QUORUM\\x00\\x01"          what it is, and the layout's version
    32 bytes  SHA-256 of all that follows  a truncated or altered file is refused
    4 bytes   length of the header
    header    JSON: kind, shapes, calibration
    payload   the arrays one after the other, as the header's kind says

The first twelve hex digits of the SHA-256 are the voter's version.
"""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from quorum.core.errors import QuorumError

MAGIC = b"QUORUM\x00\x01"
_DIGEST = 32
_LENGTH = 4
_HEADER_AT = len(MAGIC) + _DIGEST + _LENGTH


class WeightsUnreadable(QuorumError):
    """The file is no weights file, is truncated, or was altered."""


class Weights(NamedTuple):
    """A read weights file; `version` is twelve hex digits."""

    version: str
    header: dict[str, Any]
    payload: bytes


def pack(header: dict[str, Any], payload: bytes) -> bytes:
    """The bytes of a weights file: the same header and payload give the same bytes."""
    encoded = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    body = len(encoded).to_bytes(_LENGTH, "little") + encoded + payload
    return MAGIC + sha256(body).digest() + body


def unpack(data: bytes, kind: str) -> Weights:
    """Read the bytes of a weights file; raises `WeightsUnreadable`."""
    if len(data) < _HEADER_AT or not data.startswith(MAGIC):
        raise WeightsUnreadable("not a weights file")
    digest, body = data[len(MAGIC) : len(MAGIC) + _DIGEST], data[len(MAGIC) + _DIGEST :]
    if sha256(body).digest() != digest:
        raise WeightsUnreadable("the weights file is truncated or was altered")
    end = _LENGTH + int.from_bytes(body[:_LENGTH], "little")
    header: dict[str, Any] = json.loads(body[_LENGTH:end])
    if header.get("kind") != kind:
        raise WeightsUnreadable(f"weights of kind {header.get('kind')!r}, not {kind!r}")
    return Weights(version=digest.hex()[:12], header=header, payload=body[end:])


def load(path: Path, kind: str) -> Weights:
    """Read a weights file; raises `WeightsUnreadable`, also when there is none."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsUnreadable(f"no weights file {path.name}") from error
    return unpack(data, kind)


def version(path: Path) -> str:
    """The version in the file's first bytes, without reading or checking the rest."""
    with path.open("rb") as file:
        head = file.read(len(MAGIC) + _DIGEST)
    if len(head) < len(MAGIC) + _DIGEST or not head.startswith(MAGIC):
        raise WeightsUnreadable("not a weights file")
    return head[len(MAGIC) :].hex()[:12]
