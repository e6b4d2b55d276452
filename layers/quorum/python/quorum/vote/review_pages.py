"""Cursors of pages of the index `reviews`, which lists reviews and suggestions by time. Pure."""

import base64
import binascii
import json
from datetime import datetime
from typing import Any

from quorum.core.errors import InvalidRequest
from quorum.core.identifiers import may_be_record


def cursor_of(prefix: str, key: Any) -> str:
    """The cursor: the last key of a page, without the tenant, which the reader's key gives.

    `prefix` is what the keys of the tenant's entries begin with.
    """
    position = [str(key["id"]).removeprefix(prefix), str(key["created_at"])]
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def position_in(prefix: str, partition: str, cursor: str) -> dict[str, str]:
    """The key that `cursor` stands for in a partition; raises `InvalidRequest` if it is invalid."""
    wrong = InvalidRequest(
        "next: is not what a page of this list ended with", code="invalid_next", field="next"
    )
    try:
        name, created_at = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        datetime.fromisoformat(created_at)
    except (binascii.Error, ValueError, TypeError) as error:
        raise wrong from error
    if not may_be_record(str(name)):
        raise wrong
    return {"id": f"{prefix}{name}", "review": partition, "created_at": created_at}
