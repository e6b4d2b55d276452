"""Signatures of webhooks, in the form of Standard Webhooks (standardwebhooks.com). Pure.

Signed is `<webhook-id>.<webhook-timestamp>.<body>` with HMAC-SHA256. The header has one signature
for each secret that is valid, separated by spaces: while secrets are replaced, two or three.
"""

import base64
import hmac
from collections.abc import Iterable
from secrets import token_bytes

SECRET_PREFIX = "whsec_"  # noqa: S105 the beginning of all of them
"""The beginning of every secret."""
SECRET_BYTES = 32
"""Random bytes of a secret; Standard Webhooks asks for 24 to 64."""


def new_secret() -> str:
    """A new secret: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(token_bytes(SECRET_BYTES)).decode()


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the signature in base64; the time in epoch seconds."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def headers(secrets: Iterable[str], message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers by which a receiver checks that a message is ours, whole and of now."""
    signatures = [signature(secret, message_id, timestamp, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }
