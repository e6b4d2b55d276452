"""Changes of keys, written together with their entries in the audit trail."""

from typing import TYPE_CHECKING, Any

from quorum.audit.chain import Action, Change, Fact

if TYPE_CHECKING:
    from quorum.audit.trail import AuditTrail
    from quorum.aws.keys import StoredKey, Writer


def recorded(
    audit: "AuditTrail", tenant: str, by: str, action: Action, before: "StoredKey | None" = None
) -> "Writer":
    """What writes a change of a tenant's key that was `before`, and the entry that tells of it."""

    def write(after: "StoredKey | None", items: list[dict[str, Any]]) -> list[int]:
        was, becomes = ({} if key is None else _facts(key) for key in (before, after))
        subject = f"key/{(was or becomes)['id']}"
        change = Change(action=action, by=by, subject=subject, before=was, after=becomes)
        return audit.write(tenant, change, items)

    return write


def _facts(key: "StoredKey") -> dict[str, Fact]:
    """What a key may do, and until when; never the key or its hash."""
    facts: dict[str, Fact] = {
        "id": key.id,
        "name": key.name,
        "scopes": tuple(str(scope) for scope in key.effective_scopes),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }
    return facts if key.panel is None else facts | {"panel": key.panel}
