"""The policies of all tenants: every version is kept, and one of each name is in force.

The Policies table, by tenant and entry::

    policy#<name>               the version in force, since when and by whom
    version#<name>#<version>    the document of a version, compressed; never changed or deleted
    put#<name>#<time>           who put which version when, or deleted the policy

An evaluation carries a reference, `<name>@<version>`. A function that needs the policy reads that
version and keeps it in memory, because a version never changes. Which version is in force, or that
none is, is remembered for some seconds. The packaged policy, `default@packaged`, is not in the
table; a tenant may put a policy called `default` in its place.
"""

import json
import re
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from quorum.aws import dynamo
from quorum.aws.faults import unavailable
from quorum.core.errors import (
    InvalidRequest,
    NotFound,
    PolicyInvalid,
    PreconditionFailed,
    StoreUnavailable,
)
from quorum.core.models import Frozen
from quorum.vote.policy import DEFAULT, PACKAGED, Policy, PolicyDocument

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

POLICIES_LIMIT = 100
"""Policies of one tenant that are in force at a time."""
VERSIONS_SHOWN = 100
"""Entries of the history that is shown with a policy: the latest ones."""
DOCUMENT_LIMIT = 380_000
"""Bytes of a compressed document: an item of DynamoDB has at most 400 KB."""
KEPT_VERSIONS = 256
"""Versions that a process keeps in memory."""
KNOWN_NAMES = 4096
"""Names whose version in force a process remembers."""

_REFERENCE = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})@(?P<version>[0-9a-f]{12})")

Source = Literal["tenant", "packaged"]


class PolicyPut(Frozen):
    """A change of a policy: to which version, when and by whom; None for a deletion."""

    version: str | None
    at: datetime
    by: str


class PolicySummary(Frozen):
    """A policy in force, without its document. The packaged one has no `at` and no `by`."""

    name: str
    version: str
    source: Source
    description: str = ""
    at: datetime | None = None
    by: str | None = None


class PolicyList(Frozen):
    """The policies in force for the tenant, by name."""

    policies: tuple[PolicySummary, ...]


class PolicyView(Frozen):
    """One version of a policy: its document, whether it is in force, and the policy's history."""

    name: str
    version: str
    source: Source
    in_force: bool
    policy: dict[str, Any]
    history: tuple[PolicyPut, ...]


class _InForce(NamedTuple):
    """The version in force of a name as last read, or None, and until when that is used."""

    version: str | None
    until: float


class PolicyVersions:
    """The versions of policies, kept in memory once they are read."""

    def __init__(self, dynamodb: "DynamoDBServiceResource", table: str) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._kept = lru_cache(KEPT_VERSIONS)(self._read)

    def of(self, tenant: str, reference: str) -> Policy:
        """The policy that a reference names.

        Raises `PolicyInvalid` if there is none, and `StoreUnavailable`.
        """
        if reference == PACKAGED:
            return DEFAULT
        parts = _REFERENCE.fullmatch(reference)
        found = parts and self.find(tenant, parts["name"], parts["version"])
        if not found:
            raise PolicyInvalid(f"there is no version {reference} of a policy")
        return found

    def find(self, tenant: str, name: str, version: str) -> Policy | None:
        """That version of a tenant's policy; None if it was never put."""
        try:
            return self._kept(tenant, name, version)
        except NotFound:  # not kept: it may be put later
            return None

    def _read(self, tenant: str, name: str, version: str) -> Policy:
        key = {"tenant": tenant, "entry": f"version#{name}#{version}"}
        item = dynamo.get(self._client, self._table, key, consistent=True)
        if item is None:
            raise NotFound("no such version")
        document = json.loads(zlib.decompress(bytes(item["document"])))
        return Policy.model_validate_json(json.dumps(document | {"name": name}))


class Policies:
    """The policies of all tenants; each tenant sees its own only.

    Which version is in force is read again after `seconds`. Threads may share one object.
    """

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        versions: PolicyVersions,
        *,
        seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = table
        self._versions = versions
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._known: dict[tuple[str, str], _InForce] = {}

    def of(self, tenant: str, reference: str) -> Policy:
        """As `PolicyVersions.of`."""
        return self._versions.of(tenant, reference)

    def chosen(self, tenant: str, named: str | None = None) -> Policy:
        """The policy that a request names: `<name>`, or one of its versions `<name>@<version>`.

        Without a name it is the tenant's `default`, else the packaged one. Raises `PolicyInvalid`
        if there is none, and `StoreUnavailable`.
        """
        if named is not None and "@" in named:
            return self.of(tenant, named)
        name = DEFAULT.name if named is None else named
        version = self._known_version(tenant, name)
        if version is not None:
            return self.of(tenant, f"{name}@{version}")
        if name == DEFAULT.name:
            return DEFAULT
        raise PolicyInvalid(f"there is no policy {name!r}; GET /policies lists yours")

    def in_force_or_default(self, tenant: str, name: str) -> Policy:
        """The policy of that name in force, else the tenant's default."""
        try:
            return self.chosen(tenant, name)
        except PolicyInvalid:
            return self.chosen(tenant)

    def in_force(self, tenant: str) -> PolicyList:
        """The policies in force, by name; the packaged one, unless the tenant has put its own."""
        found = [_summary(item) for item in self._items(tenant, "policy#")]
        if all(one.name != DEFAULT.name for one in found):
            found.append(
                PolicySummary(name=DEFAULT.name, version=DEFAULT.version, source="packaged")
            )
        return PolicyList(policies=tuple(sorted(found, key=lambda one: one.name)))

    def view(self, tenant: str, name: str, version: str | None = None) -> PolicyView:
        """The policy in force, or that version of it; raises `NotFound` and `StoreUnavailable`."""
        current = self._current(tenant, name)
        wanted = current if version is None else version
        policy = None if wanted is None else self._versions.find(tenant, name, wanted)
        packaged = name == DEFAULT.name and current is None
        if policy is None and packaged and wanted in (None, DEFAULT.version):
            policy = DEFAULT
        if policy is None:
            raise _not_found()
        return PolicyView(
            name=name,
            version=policy.version,
            source="packaged" if policy is DEFAULT else "tenant",
            in_force=policy is DEFAULT or policy.version == current,
            policy=policy.document() if policy is not DEFAULT else _whole(DEFAULT),
            history=self._history(tenant, name),
        )

    def put(
        self, tenant: str, policy: Policy, by: str, *, expected: str | None, now: datetime
    ) -> PolicyView:
        """Put `policy` in force, and store its version.

        With `expected`, only if that version is in force now (`*`: any version). Raises
        `PreconditionFailed`, `InvalidRequest` where a limit is broken, and `StoreUnavailable`.
        """
        kept = self._kept(tenant, policy)
        current = self._current(tenant, policy.name)
        self._require(current, expected)
        if current is None and len(self._items(tenant, "policy#")) >= POLICIES_LIMIT:
            raise InvalidRequest(
                f"a tenant has at most {POLICIES_LIMIT} policies; delete one",
                code="too_many_policies",
                limit=POLICIES_LIMIT,
            )
        pointer = self._entry(tenant, f"policy#{policy.name}") | {
            "version": policy.version,
            "description": policy.description,
        }
        self._write(
            tenant,
            policy.name,
            current,
            [{"Put": {"TableName": self._table, "Item": pointer | _put(by, now)}}],
            [{"Update": kept}, self._noted(tenant, policy.name, policy.version, by, now)],
        )
        return self.view(tenant, policy.name)

    def keep(self, tenant: str, policy: Policy) -> None:
        """Store that version of a policy, without putting it in force."""
        with unavailable("the policy could not be stored"):
            dynamo.attempt(self._client.update_item, **self._kept(tenant, policy))

    def _kept(self, tenant: str, policy: Policy) -> dict[str, Any]:
        """The update that stores a version; raises `InvalidRequest` if it is too large."""
        document = zlib.compress(json.dumps(policy.document()).encode(), 9)
        if len(document) > DOCUMENT_LIMIT:
            raise InvalidRequest(
                f"the policy has {len(document)} bytes compressed; at most {DOCUMENT_LIMIT} fit",
                code="policy_too_large",
                limit=DOCUMENT_LIMIT,
            )
        return {
            "TableName": self._table,
            "Key": self._entry(tenant, f"version#{policy.name}#{policy.version}"),
            "UpdateExpression": "SET document = if_not_exists(document, :document)",
            "ExpressionAttributeValues": {":document": document},
        }

    def delete(
        self, tenant: str, name: str, by: str, *, expected: str | None, now: datetime
    ) -> PolicyView:
        """Put the policy out of force; its versions are kept. Returns what was in force.

        Raises `NotFound`, `PreconditionFailed` and `StoreUnavailable`.
        """
        current = self._current(tenant, name)
        if current is None:
            raise _not_found()
        self._require(current, expected)
        last = self.view(tenant, name)
        key = self._entry(tenant, f"policy#{name}")
        self._write(
            tenant,
            name,
            current,
            [{"Delete": {"TableName": self._table, "Key": key}}],
            [self._noted(tenant, name, None, by, now)],
        )
        return last.model_copy(update={"in_force": False})

    def _write(
        self,
        tenant: str,
        name: str,
        current: str | None,
        pointed: list[dict[str, Any]],
        others: list[dict[str, Any]],
    ) -> None:
        """Write all in one transaction, which succeeds only if `current` is still in force."""
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(entry)"}
        if current is not None:
            condition = {
                "ConditionExpression": "version = :current",
                "ExpressionAttributeValues": {":current": current},
            }
        ((action, request),) = pointed[0].items()
        failed = dynamo.write(self._client, [{action: request | condition}, *others])
        with self._lock:
            self._known.pop((tenant, name), None)
        if failed:
            raise PreconditionFailed(
                "somebody else changed this policy at the same moment; read it again",
                code="policy_changed",
            )

    def _require(self, current: str | None, expected: str | None) -> None:
        if expected is None or current == expected or (expected == "*" and current is not None):
            return
        raise PreconditionFailed(
            f"If-Match: the version in force is {current or 'none'}",
            code="policy_changed",
            field="If-Match",
            limit=current,
        )

    def _known_version(self, tenant: str, name: str) -> str | None:
        """The version in force, read again after `seconds`."""
        with self._lock:
            known = self._known.get((tenant, name))
        if known is not None and self._clock() < known.until:
            return known.version
        try:
            version = self._current(tenant, name)
        except StoreUnavailable:
            if known is None:  # which policy is meant cannot be guessed
                raise
            version = known.version
        with self._lock:
            if len(self._known) >= KNOWN_NAMES:
                self._known.clear()
            self._known[tenant, name] = _InForce(version, self._clock() + self._seconds)
        return version

    def _current(self, tenant: str, name: str) -> str | None:
        """The version in force, read now."""
        key = self._entry(tenant, f"policy#{name}")
        item = dynamo.get(self._client, self._table, key, consistent=True)
        return None if item is None else str(item["version"])

    def _history(self, tenant: str, name: str) -> tuple[PolicyPut, ...]:
        """The latest changes, the last first."""
        items = self._items(tenant, f"put#{name}#", limit=VERSIONS_SHOWN)
        return tuple(
            PolicyPut.model_validate({field: item[field] for field in ("version", "at", "by")})
            for item in items
        )

    def _items(self, tenant: str, prefix: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The tenant's entries that begin with `prefix`, the last first."""
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = dynamo.query(
                self._client,
                TableName=self._table,
                KeyConditionExpression="tenant = :tenant AND begins_with(entry, :prefix)",
                ExpressionAttributeValues={":tenant": tenant, ":prefix": prefix},
                ScanIndexForward=False,
                ConsistentRead=True,
                **({} if limit is None else {"Limit": limit}),
                **more,
            )
            found += page["Items"]
            if "LastEvaluatedKey" not in page or (limit is not None and len(found) >= limit):
                return found
            more = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def _noted(
        self, tenant: str, name: str, version: str | None, by: str, now: datetime
    ) -> dict[str, Any]:
        """The transaction item that records a change."""
        entry = self._entry(tenant, f"put#{name}#{now.astimezone(UTC).isoformat()}")
        return {
            "Put": {"TableName": self._table, "Item": entry | _put(by, now) | {"version": version}}
        }

    def _entry(self, tenant: str, entry: str) -> dict[str, Any]:
        return {"tenant": tenant, "entry": entry}


def _put(by: str, now: datetime) -> dict[str, Any]:
    return {"at": now.isoformat(), "by": by}


def _summary(item: dict[str, Any]) -> PolicySummary:
    shown = {field: item[field] for field in ("version", "description", "at", "by")}
    name = str(item["entry"]).removeprefix("policy#")
    return PolicySummary.model_validate({"name": name, "source": "tenant"} | shown)


def _whole(policy: PolicyDocument) -> dict[str, Any]:
    """The packaged policy as a document to change and put, with its instructions."""
    return policy.document() | {"instructions": policy.instructions}


def _not_found() -> NotFound:
    return NotFound("no such policy", code="policy_not_found", field="name")
