"""Names in JSON objects. Pure. JSON readers keep the last of two equal names without a word."""

import json
from typing import Any


class NameRepeated(ValueError):
    """An object that has the same name twice."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} stands twice in one object")
        self.name = name


def unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The pairs as an object: an `object_pairs_hook`. Raises `NameRepeated`."""
    read: dict[str, Any] = {}
    for name, value in pairs:
        if name in read:
            raise NameRepeated(name)
        read[name] = value
    return read


def require_unrepeated(text: str | bytes) -> None:
    """Raise `NameRepeated` if an object in `text`, which is JSON, has a name twice.

    Text that is no JSON, or nested too deeply, raises `ValueError` or `RecursionError`.
    """
    json.loads(text, object_pairs_hook=unrepeated)
