"""The policies of all tenants: every version is kept, and one of each name is in force.

`quorum.aws.versions` stores them. An evaluation carries a reference, `<name>@<version>`. A function
that needs the policy reads that version and keeps it in memory, because a version never changes.
Which version is in force, or that none is, is remembered for some seconds. The packaged policy,
`default@packaged`, is not in the table; a tenant may put a policy called `default` in its place.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from quorum.aws import dynamo
from quorum.aws.versions import Document, Kind, VersionedDocuments, VersionPut, Writer
from quorum.core.errors import NotFound, PolicyInvalid
from quorum.core.models import Frozen, Verdict
from quorum.core.rejection import rejection
from quorum.vote.policy import DEFAULT, PACKAGED, Policy, PolicyDocument

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

POLICIES_LIMIT = 100
"""Policies of one tenant that are in force at a time."""
KEPT_VERSIONS = 256
"""Versions that a process keeps in memory."""
LAST = "last"
"""In place of a version: the one that was put last."""
POLICY = Kind("policy", "policies", "tenant", POLICIES_LIMIT)
"""How the table and its errors call them."""

_REFERENCE = re.compile(r"(?P<name>[A-Za-z0-9_.-]{1,64})@(?P<version>[0-9a-f]{12})")

Source = Literal["tenant", "packaged"]


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
    history: tuple[VersionPut, ...]


class PolicyVersions:
    """The versions of policies, kept in memory once they are read."""

    def __init__(self, dynamodb: "DynamoDBServiceResource", table: str) -> None:
        self._documents = VersionedDocuments(dynamodb, table, POLICY, seconds=0)
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

    def under(self, tenant: str, verdict: Verdict) -> Policy | None:
        """The policy that the verdict was made under; None if that version was not kept.

        Raises `PolicyInvalid` if this release does not take it, and `StoreUnavailable`.
        """
        if (verdict.policy, verdict.policy_version) == (DEFAULT.name, DEFAULT.version):
            return DEFAULT
        return self.find(tenant, verdict.policy, verdict.policy_version)

    def find(self, tenant: str, name: str, version: str) -> Policy | None:
        """That version of a tenant's policy; None if it was never put.

        Raises `PolicyInvalid` if this release does not take it, and `StoreUnavailable`.
        """
        try:
            return self._kept(tenant, name, version)
        except NotFound:  # not kept: it may be put later
            return None

    def _read(self, tenant: str, name: str, version: str) -> Policy:
        document = self._documents.read(tenant, name, version)
        try:
            return Policy.kept(name, version, document)
        except ValidationError as error:
            broken = rejection(error).message
            message = f"{name}@{version} was put in another release and is no policy now: {broken}"
            raise PolicyInvalid(message) from None


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
        self._documents = VersionedDocuments(dynamodb, table, POLICY, seconds=seconds, clock=clock)
        self._versions = versions

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
        version = self._documents.known(tenant, name)
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
        in_force = self._documents.in_force(tenant)
        items = (item | {"name": name} for name, item in in_force.items())
        found = list(dynamo.readable(items, _summary, "tenant", "entry"))
        if DEFAULT.name not in in_force:
            found.append(
                PolicySummary(name=DEFAULT.name, version=DEFAULT.version, source="packaged")
            )
        return PolicyList(policies=tuple(sorted(found, key=lambda one: one.name)))

    def in_force_anywhere(self) -> list[tuple[str, str]]:
        """Tenant and reference of all policies in force. Reads the whole table."""
        return [
            (tenant, f"{name}@{version}")
            for tenant, name, version in self._documents.in_force_anywhere()
        ]

    def view(self, tenant: str, name: str, version: str | None = None) -> PolicyView:
        """The policy in force, or that version of it; raises `NotFound` and `StoreUnavailable`.

        `last` is the version that was put last, whether it is in force or not.
        """
        current = self._documents.current(tenant, name)
        history = self._documents.history(tenant, name)
        wanted = current if version is None else version
        if version == LAST:
            wanted = next((one.version for one in history if one.version is not None), None)
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
            history=history,
        )

    def put(
        self,
        tenant: str,
        policy: Policy,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> PolicyView:
        """Put `policy` in force, and store its version. `writer` writes more with it.

        With `expected`, only if that version is in force now (`*`: any version). Raises
        `PreconditionFailed`, `InvalidRequest` where a limit is broken, and `StoreUnavailable`.
        """
        document = _document(policy)
        self._documents.put(tenant, document, by, expected=expected, now=now, writer=writer)
        return self.view(tenant, policy.name)

    def keep(self, tenant: str, policy: Policy) -> None:
        """Store that version of a policy, without putting it in force."""
        self._documents.keep(tenant, _document(policy))

    def delete(
        self,
        tenant: str,
        name: str,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> PolicyView:
        """Put the policy out of force; its versions are kept. Returns what was in force.

        Raises `NotFound`, `PreconditionFailed` and `StoreUnavailable`.
        """
        last = self.view(tenant, name)
        self._documents.delete(tenant, name, by, expected=expected, now=now, writer=writer)
        return last.model_copy(update={"in_force": False})


def _document(policy: Policy) -> Document:
    shown = {"description": policy.description}
    return Document(policy.name, policy.version, policy.document(), shown)


def _summary(item: dict[str, Any]) -> PolicySummary:
    shown = {field: item[field] for field in ("name", "version", "description", "at", "by")}
    return PolicySummary.model_validate({"source": "tenant"} | shown)


def _whole(policy: PolicyDocument) -> dict[str, Any]:
    """The packaged policy as a document to change and put, with its instructions."""
    return policy.document() | {"instructions": policy.instructions}


def _not_found() -> NotFound:
    return NotFound("no such policy", code="policy_not_found", field="name")
