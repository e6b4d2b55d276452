"""API keys, and the tenant and role of each.

A key is 256 random bits and cannot be guessed, so a plain SHA-256 of it is stored.
"""

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from quorum.core.models import Frozen, Identifier

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

Role = Literal["member", "operator", "deployment_operator"]
"""A member moderates; an operator also reviews and checks the gateway; the deployment's operator
also sees every tenant's costs, and puts models."""
PREFIX = "qk_"
"""The beginning of every key."""
REFUSED = "refused"
"""What the authorizer says of a request that it lets through although it has no known key:
`missing` or `unknown`."""
GOOGLES_ROUTES = ("/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore")
"""The routes that get such requests: they answer as Google's APIs do, which API Gateway cannot."""
OPERATORS: tuple[Role, ...] = ("operator", "deployment_operator")


class Caller(Frozen):
    """The owner of a key, and the key's name: what it is for.

    `review_is_flagged` says that a content that needs a review is flagged, for callers to whom a
    content is either flagged or not (`POST /moderations`).
    """

    tenant: Identifier
    role: Role = "member"
    name: str = ""
    review_is_flagged: bool = False


def new_key() -> str:
    """A fresh key; only its hash is ever stored."""
    return f"{PREFIX}{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """The hash under which `key` is stored."""
    return sha256(key.encode()).hexdigest()


class StoredKey(Caller):
    """A key as it is stored: its hash, its owner, what it is for, and when it was issued.

    Keys issued before names and times were stored have neither.
    """

    key_hash: str
    issued_at: datetime | None = None


class Keys:
    """The Keys table: `key_hash` → tenant, role, name and time of issue."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    def caller(self, key: str) -> Caller | None:
        """The owner of `key`, or None if it is unknown."""
        item = self._table.get_item(Key={"key_hash": hash_of(key)}).get("Item")
        if item is None:
            return None
        return Caller.model_validate(
            {name: item[name] for name in Caller.model_fields if name in item}
        )

    def is_known(self, key_hash: str) -> bool:
        """Whether the key with that hash was issued and not revoked since."""
        found = self._table.get_item(Key={"key_hash": key_hash}, ProjectionExpression="key_hash")
        return "Item" in found

    def issue(self, caller: Caller, *, name: str = "") -> str:
        """Store and return a new key for `caller`; it cannot be read again.

        `name` says what it is for.
        """
        key = new_key()
        stored = StoredKey(
            key_hash=hash_of(key),
            tenant=caller.tenant,
            role=caller.role,
            name=name,
            review_is_flagged=caller.review_is_flagged,
            issued_at=datetime.now(UTC),
        )
        self._table.put_item(Item=stored.model_dump(mode="json"))
        return key

    def stored(self) -> Iterator[StoredKey]:
        """Every key, in no order."""
        more: dict[str, Any] = {}
        while True:
            page = self._table.scan(**more)
            yield from map(StoredKey.model_validate, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def revoke(self, key_hash: str) -> None:
        """Delete the key with that hash, if there is one."""
        self._table.delete_item(Key={"key_hash": key_hash})
