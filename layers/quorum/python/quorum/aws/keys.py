"""API keys, and the tenant and role of each.

A key is 256 random bits and cannot be guessed, so a plain SHA-256 of it is stored.
"""

import secrets
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from quorum.core.models import Frozen, Identifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Role = Literal["member", "operator", "deployment_operator"]
"""A member moderates; an operator also reviews and checks the gateway; the deployment's operator
also sees every tenant's costs."""
OPERATORS: tuple[Role, ...] = ("operator", "deployment_operator")


class Caller(Frozen):
    """The owner of a key."""

    tenant: Identifier
    role: Role = "member"


def new_key() -> str:
    """A fresh key; only its hash is ever stored."""
    return f"qk_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """The hash under which `key` is stored."""
    return sha256(key.encode()).hexdigest()


class Keys:
    """The Keys table: `key_hash` → tenant and role."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def caller(self, key: str) -> Caller | None:
        """The owner of `key`, or None if it is unknown."""
        item = self._table.get_item(Key={"key_hash": hash_of(key)}).get("Item")
        if item is None:
            return None
        return Caller.model_validate({"tenant": item["tenant"], "role": item["role"]})

    def issue(self, caller: Caller) -> str:
        """Store and return a new key for `caller`; it cannot be read again."""
        key = new_key()
        self._table.put_item(
            Item={"key_hash": hash_of(key), "tenant": caller.tenant, "role": caller.role}
        )
        return key
