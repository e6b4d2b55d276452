"""Identifiers and table keys, derived so that a repeated request or message writes the same record.

Each contains the tenant, so another tenant's record is not found. Pure.
"""

import re
from hashlib import sha256

from quorum.core.position import BatchPosition

_RECORD_ID = re.compile(r"[\w.:@/-]{1,128}")


def may_be_record(name: str) -> bool:
    """Whether a caller's id can be that of a record at all.

    One that cannot is looked for nowhere: it is longer than a key of the table may be, or holds the
    sign that keys are put together with, so that it could spell another tenant's.
    """
    return _RECORD_ID.fullmatch(name) is not None


def verdict_id_of(tenant: str, message_id: str) -> str:
    """The id of the verdict on a message; a message delivered again has the same one."""
    return sha256(f"{tenant}#{message_id}".encode()).hexdigest()[:32]


def item_id_of(tenant: str, position: BatchPosition) -> str:
    """The id of the verdict on an item of a batch."""
    return sha256(f"{tenant}#{position.batch}#{position.index}".encode()).hexdigest()[:32]


def batch_id_of(tenant: str, route: str, key: str, request: str) -> str:
    """The id of the batch of an Idempotency-Key; a request sent again has the same one."""
    named = "#".join(f"{len(part)}:{part}" for part in (tenant, route, key, request))
    return sha256(f"batch#{named}".encode(errors="backslashreplace")).hexdigest()[:32]


def verdict_key(tenant: str, verdict_id: str) -> str:
    """The Verdicts table's key of a verdict."""
    return f"verdict#{tenant}#{verdict_id}"


def content_key(tenant: str, verdict_id: str) -> str:
    """The Verdicts table's key of the content that is kept for a reviewer."""
    return f"content#{tenant}#{verdict_id}"


def appeal_key(tenant: str, verdict_id: str) -> str:
    """The Verdicts table's key of an author's words against a decision."""
    return f"appeal#{tenant}#{verdict_id}"


def review_entry_key(tenant: str, digest: str) -> str:
    """The Verdicts table's key of the review entry of a content under a policy."""
    return f"entry#{tenant}#{digest}"


def suggestion_key(tenant: str, digest: str) -> str:
    """The Verdicts table's key of the suggestion on a content under a policy."""
    return f"suggestion#{tenant}#{digest}"


def batch_key(tenant: str, batch: str) -> str:
    """The Verdicts table's key of a batch."""
    return f"batch#{tenant}#{batch}"


def batch_partition(tenant: str, batch: str) -> str:
    """The partition of a batch's items in the index `batches`."""
    return f"{tenant}#{batch}"
