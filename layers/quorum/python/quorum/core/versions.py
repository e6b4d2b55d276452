"""The version of a document: a digest of what it says. Pure."""

import json
from hashlib import sha256


def version_of(*parts: object) -> str:
    """A digest of `parts` (JSON values, in this order): 12 hexadecimal digits."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
