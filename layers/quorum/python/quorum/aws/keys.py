"""API keys: the tenant, role, scopes and limits of each.

A key is 256 random bits and cannot be guessed, so a plain SHA-256 of it is stored, with its first
characters to recognise it by. What is written often (the last use, the counts of requests) is in a
table of its own: the functions that write it cannot write keys.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import time
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from quorum.aws import dynamo
from quorum.aws.faults import AWS_ERRORS
from quorum.aws.key_limits import month_counter
from quorum.aws.telemetry import logger
from quorum.core.errors import Conflict, NotFound, StoreUnavailable
from quorum.core.models import Frozen, Identifier
from quorum.core.scopes import CHAT_SCOPES, OPERATOR_SCOPES, SCOPES_OF, Role, Scope, in_order

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

PREFIX = "qk_"
"""The beginning of every key."""
SHOWN_CHARACTERS = len(PREFIX) + 6
"""Characters of a key that are kept, so that its owner recognises it; 220 random bits are not."""
ID_DIGITS = 12
"""Hexadecimal digits of a key's hash that are its id."""
KEYS_LIMIT = 1_000
"""Keys of one tenant at most: all are listed at once."""
LAST_USE_SECONDS = 600
"""Seconds between two writes of a key's last use."""
OVERLAP_HOURS = 7 * 24
"""Hours, at most, for which the old key still works beside the one that replaces it."""
_REMEMBERED = 10_000
"""Keys whose last use an environment remembers to have written."""
_INDEX = "tenants"

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
"""A part of a host's name."""
_USUAL_PORTS = {"http": 80, "https": 443}
_PORTS = range(1, 65_536)


def _without_usual_port(origin: str) -> str:
    """The origin as browsers send it; raises `ValueError` for a port that there is not."""
    scheme, _, place = origin.partition("://")
    host, _, written = place.partition(":")
    if not written:
        return origin
    port = int(written)
    if port not in _PORTS:
        raise ValueError("must have a port from 1 to 65535")
    return f"{scheme}://{host}" if port == _USUAL_PORTS[scheme] else f"{scheme}://{host}:{port}"


Origin = Annotated[
    str,
    StringConstraints(pattern=rf"^https?://{_LABEL}(\.{_LABEL})*(:[0-9]{{1,5}})?$", max_length=270),
    AfterValidator(_without_usual_port),
]
"""An origin as a browser sends it: scheme, host in lower case, and port if it is not the usual."""
PanelName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
REFUSED = "refused"
"""What the authorizer says of a request that it lets through although it has no known key:
`missing` or `unknown`."""
GOOGLES_ROUTES = ("/v1alpha1/comments:analyze", "/v1alpha1/comments:suggestscore")
"""The routes that get such requests: they answer as Google's APIs do, which API Gateway cannot."""


Writer = Callable[["StoredKey | None", list[dict[str, Any]]], list[int]]
"""What writes the key that comes of a change, if one does: as `quorum.aws.dynamo.write`, with more.
"""


class Caller(Frozen):
    """The owner of a key, what the key is called, and what it may do.

    `review_is_flagged` says that a content that needs a review is flagged, for callers to whom a
    content is either flagged or not (`POST /moderations`). `drop_unsupported_attributes` says that
    an attribute that no voter gives is left out of an answer in Perspective's form, for clients
    that cannot be made to ask for that. `panel` judges where a request names none. Without `scopes`
    a key may do what its role may. `allowed_origin` is the website whose pages may send the key.
    """

    tenant: Identifier
    role: Role = "member"
    name: str = ""
    review_is_flagged: bool = False
    drop_unsupported_attributes: bool = False
    panel: PanelName | None = None
    scopes: tuple[Scope, ...] | None = Field(default=None, min_length=1)
    requests_per_minute: int | None = Field(default=None, ge=1, le=60_000)
    requests_per_month: int | None = Field(default=None, ge=1, le=1_000_000_000)
    allowed_origin: Origin | None = None

    @field_validator("scopes", mode="before")
    @classmethod
    def _listed(cls, scopes: Any) -> Any:
        """API Gateway hands on text only, so scopes come with spaces between them."""
        return tuple(scopes.split()) if isinstance(scopes, str) else scopes

    @field_validator("scopes")
    @classmethod
    def _each_once(cls, scopes: tuple[Scope, ...] | None) -> tuple[Scope, ...] | None:
        return None if scopes is None else in_order(scopes)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        beyond = set(self.effective_scopes) - set(SCOPES_OF[self.role])
        if beyond:
            raise ValueError(f"scopes: {' and '.join(in_order(beyond))} need the role operator")
        open_to_all = set(self.effective_scopes) & set(OPERATOR_SCOPES)
        if self.allowed_origin is not None and open_to_all:
            named = " and ".join(in_order(open_to_all))
            raise ValueError(
                f"allowed_origin: everybody who opens the page can read its key, so it cannot have"
                f" {named}; name its scopes"
            )
        return self

    @property
    def effective_scopes(self) -> tuple[Scope, ...]:
        """The scopes of the key: its own, or those of its role."""
        return SCOPES_OF[self.role] if self.scopes is None else self.scopes

    def context(self) -> dict[str, Any]:
        """The caller as an authorizer hands it to functions: text, numbers and truth values."""
        given = self.model_dump(exclude_none=True)
        return given if self.scopes is None else given | {"scopes": " ".join(self.scopes)}

    @classmethod
    def given(cls, context: Any) -> "Caller":
        """The caller in an authorizer's context; without a role it is a member."""
        return Caller.model_validate(
            {name: context[name] for name in Caller.model_fields if name in context}
        )


def new_key() -> str:
    """A fresh key; only its hash is ever stored."""
    return f"{PREFIX}{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """The hash under which `key` is stored."""
    # What a stranger sends need not be text that can be encoded; it is then nobody's key.
    return sha256(key.encode(errors="surrogatepass")).hexdigest()


class StoredKey(Caller):
    """A key as it is stored: its hash, its owner, what it may do, and until when.

    Keys issued before names and times were stored have neither, and older ones no `prefix`.
    `replaced_by` is the id of the key that replaces it, while both work; then `expires_at` is the
    end of that time.
    """

    key_hash: str
    prefix: str = ""
    issued_at: AwareDatetime | None = None
    expires_at: AwareDatetime | None = None
    replaced_by: str | None = None

    @property
    def id(self) -> str:
        """The name of the key: it tells nothing of the key itself."""
        return self.key_hash[:ID_DIGITS]

    def may_chat(self, origin: str | None) -> bool:
        """Whether the key may open a WebSocket from `origin`; each message is asked for more."""
        from_there = self.allowed_origin in (None, origin)
        return from_there and bool(set(self.effective_scopes) & set(CHAT_SCOPES))

    @property
    def caller(self) -> Caller:
        """The owner and the rights alone."""
        return Caller(**{name: getattr(self, name) for name in Caller.model_fields})

    @classmethod
    def of(cls, item: dict[str, Any]) -> "StoredKey":
        """The key in an item of the table."""
        return cls.model_validate({name: item[name] for name in cls.model_fields if name in item})


class KeyUse(Frozen):
    """The use of a key: its last, ten minutes late at most, and the requests of this month (UTC).

    Requests are counted for keys with a limit only.
    """

    last_used_at: datetime | None = None
    requests_this_month: int = 0


class Keys:
    """The Keys table (`key_hash` → owner and rights), and the table of their use.

    `clock` returns seconds since the epoch.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        use_table: str,
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._use_table = use_table
        self._clock = clock
        self._used: dict[str, float] = {}

    def find(self, key_hash: str) -> StoredKey | None:
        """The key with that hash; None if it is unknown, revoked or expired.

        Raises boto's errors, and `StoreUnavailable` for a key that this release cannot read:
        without an answer nobody is let in.
        """
        asked = {"TableName": self._table, "Key": {"key_hash": key_hash}}
        item = dynamo.attempt(self._client.get_item, **asked).get("Item")
        if item is None:
            return None
        stored = _read(item)
        expired = stored.expires_at is not None and stored.expires_at <= self._now()
        return None if expired else stored

    def caller(self, key: str) -> Caller | None:
        """The owner of `key`, or None if it is unknown, revoked or expired."""
        stored = self.find(hash_of(key))
        return None if stored is None else stored.caller

    def note_use(self, key_hash: str) -> None:
        """Write the time of a key's use, at most once in `LAST_USE_SECONDS`; failing is no harm."""
        now = self._clock()
        if now - self._used.get(key_hash, 0.0) < LAST_USE_SECONDS:
            return
        if len(self._used) >= _REMEMBERED:
            self._used.clear()
        self._used[key_hash] = now
        before = self._now() - timedelta(seconds=LAST_USE_SECONDS)
        try:
            self._client.update_item(
                TableName=self._use_table,
                Key={"key_hash": key_hash},
                UpdateExpression="SET last_used_at = :now",
                ConditionExpression="attribute_not_exists(last_used_at) OR last_used_at < :before",
                ExpressionAttributeValues={":now": _text(self._now()), ":before": _text(before)},
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return  # another environment wrote it
        except AWS_ERRORS as error:
            logger.warning("last use not written", extra={"error": type(error).__name__})

    def issue(
        self,
        caller: Caller,
        *,
        name: str = "",
        expires_at: datetime | None = None,
        writer: Writer | None = None,
    ) -> str:
        """Store and return a new key for `caller`; it cannot be read again.

        `name` says what it is for, if `caller` does not. Raises `StoreUnavailable`.
        """
        named = caller.model_copy(update={"name": name}) if name else caller
        key, stored = self._new(named, expires_at)
        (writer or self._write)(stored, [self._put(stored)])
        return key

    def issue_within_limit(
        self, caller: Caller, expires_at: datetime | None, *, writer: Writer | None = None
    ) -> tuple[str, StoredKey]:
        """A new key of a tenant that has fewer than `KEYS_LIMIT`, or `Conflict`."""
        self._require_room(caller.tenant)
        key, stored = self._new(caller, expires_at)
        (writer or self._write)(stored, [self._put(stored)])
        return key, stored

    def rotate(
        self, old: StoredKey, *, overlap: timedelta, writer: Writer | None = None
    ) -> tuple[str, StoredKey]:
        """A new key with the rights, limits and counts of `old`, which ends after `overlap`.

        The new key expires when the old one would have. Raises `NotFound` if `old` was revoked
        meanwhile, `Conflict` if it has expired, is being replaced already, or both would be one
        too many, and `StoreUnavailable`.
        """
        self._require_current(old)
        if overlap:
            self._require_room(old.tenant)
        key, stored = self._new(old.caller, old.expires_at)
        items = [self._put(stored), self._ending(old, overlap, stored.id)]
        use = dynamo.get(self._client, self._use_table, _named(old)) or {}
        counted = {name: value for name, value in use.items() if name.startswith("requests_")}
        if counted:
            item = counted | {"key_hash": stored.key_hash}
            items.append({"Put": {"TableName": self._use_table, "Item": item}})
        if (writer or self._write)(stored, items):
            left = dynamo.get(self._client, self._table, _named(old), consistent=True)
            if left is not None:
                self._require_current(_read(left))  # somebody else was first
            raise unknown_key()
        return key, stored

    def of_tenant(self, tenant: str) -> list[StoredKey]:
        """The keys of a tenant that can be read, the oldest first; raises `StoreUnavailable`."""
        wanted = [{"key_hash": one} for one in self._hashes(tenant)]
        stored = _readable(dynamo.read(self._client, self._table, wanted))
        return sorted(stored, key=lambda one: (_text(one.issued_at), one.key_hash))

    def named(self, tenant: str, key_id: str) -> StoredKey:
        """The key of a tenant with that id; raises `NotFound` and `StoreUnavailable`."""
        found = self._hashes(tenant, beginning=key_id)
        item = dynamo.get(self._client, self._table, {"key_hash": found[0]}) if found else None
        if item is None:
            raise unknown_key()
        return _read(item)

    def use_of(self, keys: list[StoredKey]) -> dict[str, KeyUse]:
        """The use of each key, by hash; raises `StoreUnavailable`."""
        wanted = [{"key_hash": key.key_hash} for key in keys]
        counter = month_counter(self._now())
        found = {
            item["key_hash"]: KeyUse(
                last_used_at=item.get("last_used_at"),
                requests_this_month=int(item.get(counter, 0)),
            )
            for item in dynamo.read(self._client, self._use_table, wanted)
        }
        return {key.key_hash: found.get(key.key_hash, KeyUse()) for key in keys}

    def stored(self) -> Iterator[StoredKey]:
        """The keys of all tenants that can be read, in no order; raises `StoreUnavailable`."""
        yield from _readable(dynamo.scan(self._client, TableName=self._table))

    def revoke(self, key_hash: str, *, writer: Writer | None = None) -> None:
        """Delete the key with that hash and its counts, if there is one."""
        tables = (self._table, self._use_table)
        key = {"key_hash": key_hash}
        deletes = [{"Delete": {"TableName": table, "Key": key}} for table in tables]
        (writer or self._write)(None, deletes)

    def _write(self, _key: StoredKey | None, items: list[dict[str, Any]]) -> list[int]:
        return dynamo.write(self._client, items)

    def _require_current(self, key: StoredKey) -> None:
        """Raise `Conflict` if the key has expired, or another one replaces it already."""
        if key.replaced_by is not None:
            raise Conflict(
                f"this key is being replaced already, by {key.replaced_by}:"
                " rotate that one, or revoke this one",
                code="key_replaced",
            )
        if key.expires_at is not None and key.expires_at <= self._now():
            raise Conflict("this key has expired: issue a new one", code="key_expired")

    def _require_room(self, tenant: str) -> None:
        """Raise `Conflict` if the tenant can have no key more."""
        if len(self._hashes(tenant)) >= KEYS_LIMIT:
            raise Conflict(
                f"the tenant has {KEYS_LIMIT} keys; revoke some",
                code="too_many_keys",
                limit=KEYS_LIMIT,
            )

    def _new(self, caller: Caller, expires_at: datetime | None) -> tuple[str, StoredKey]:
        key = new_key()
        stored = StoredKey(
            **{name: getattr(caller, name) for name in Caller.model_fields},
            key_hash=hash_of(key),
            prefix=key[:SHOWN_CHARACTERS],
            issued_at=self._now(),
            expires_at=expires_at,
        )
        return key, stored

    def _put(self, stored: StoredKey) -> dict[str, Any]:
        item = stored.model_dump(mode="json", exclude_none=True)
        return {"Put": {"TableName": self._table, "Item": item}}

    def _ending(self, old: StoredKey, overlap: timedelta, successor: str) -> dict[str, Any]:
        """The write that ends `old`, now or after `overlap`, unless somebody else has ended it."""
        there: dict[str, Any] = {
            "TableName": self._table,
            "Key": _named(old),
            "ConditionExpression": "attribute_exists(key_hash)"
            " AND attribute_not_exists(replaced_by)",
        }
        if not overlap:
            return {"Delete": there}
        ends = self._now() + overlap
        if old.expires_at is not None:
            ends = min(ends, old.expires_at)
        until = {
            "UpdateExpression": "SET expires_at = :ends, replaced_by = :successor",
            "ExpressionAttributeValues": {":ends": _text(ends), ":successor": successor},
        }
        return {"Update": there | until}

    def _hashes(self, tenant: str, beginning: str = "") -> list[str]:
        """The hashes of a tenant's keys that begin so."""
        condition, values = "tenant = :tenant", {":tenant": tenant}
        if beginning:
            condition += " AND begins_with(key_hash, :beginning)"
            values |= {":beginning": beginning}
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": _INDEX,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        hashes: list[str] = []
        while True:
            page = dynamo.query(self._client, **request)
            hashes += [str(item["key_hash"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return hashes
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _read(item: dict[str, Any]) -> StoredKey:
    """The key in an item; raises `StoreUnavailable` if another release stored it."""
    found = next(_readable([item]), None)
    if found is None:
        raise StoreUnavailable("a key was stored by another release and cannot be read")
    return found


def _readable(items: Iterable[dict[str, Any]]) -> Iterator[StoredKey]:
    """The keys in items; one that another release stored is logged by its id and left out."""
    named = (item | {"key_id": str(item["key_hash"])[:ID_DIGITS]} for item in items)
    return dynamo.readable(named, StoredKey.of, "key_id")


def _named(key: StoredKey) -> dict[str, str]:
    """The key of a key's item in both tables."""
    return {"key_hash": key.key_hash}


def unknown_key() -> NotFound:
    """The error about a key that the tenant does not have."""
    return NotFound("there is no key with this id", code="key_not_found")


def _text(when: datetime | None) -> str:
    """A time as it is stored: texts in the order of the times."""
    return "" if when is None else when.isoformat(timespec="microseconds")
