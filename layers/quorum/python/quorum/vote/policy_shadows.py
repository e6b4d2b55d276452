"""Shadows of policies: a policy that judges beside another one, to try it on real texts.

A verdict under a policy that has a shadow is judged under the shadow, too, by the same panel. What
it would be is recorded with the verdict and counted, and has no effect. Where both policies ask the
same, the shadow reads the same votes; else voters are asked for their own, which are booked like
any.

An entry of the Policies table says which policy is whose shadow, and is known for a while. Counters
in the Usage table say how two versions compare.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic import Field

from quorum.aws import dynamo
from quorum.aws.remembered import Remembered
from quorum.aws.versions import Writer
from quorum.core.errors import InvalidRequest, NotFound, PolicyInvalid
from quorum.core.models import Decision, Frozen, Money, PolicyShadow, Verdict, is_none
from quorum.ledger import ledger, listing, shards
from quorum.vote.policies import Policies, PolicyView
from quorum.vote.policy import Policy, reference_of
from quorum.vote.requests import PolicyName

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource


_PREFIX = "shadow#"


class ShadowRequest(Frozen):
    """The body of `PUT /policies/{name}/shadow`: a policy, or one version of it."""

    policy: PolicyName


class Comparison(Frozen):
    """How a policy in force and its shadow compare: `judged` verdicts, `changed` of them.

    `changes` counts them by both decisions (`safe → unsafe`). `cost_usd` is what the shadow's own
    votes cost.
    """

    policy: str
    shadow: str
    judged: int
    changed: int
    changes: dict[str, int]
    cost_usd: Money


class ShadowView(Frozen):
    """The shadow of a policy, who put it when, and how both compare in the versions in force.

    There is no comparison where the shadow itself is no longer in force.
    """

    policy: str
    at: datetime
    by: str
    comparison: Comparison | None


class ShownPolicy(PolicyView):
    """A policy, and its shadow if it has one."""

    shadow: ShadowView | None = Field(default=None, exclude_if=is_none)


class PolicyShadows:
    """Which policy is whose shadow, for all tenants; known for `seconds`. Threads may share it."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        policies_table: str,
        usage_table: str,
        policies: Policies,
        *,
        seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._table = policies_table
        self._usage_table = usage_table
        self._policies = policies
        self._known: Remembered[str | None] = Remembered(seconds=seconds, clock=clock)

    def of(self, tenant: str, reference: str) -> Policy | None:
        """The shadow of the policy that an evaluation refers to; None where there is none.

        Raises `PolicyInvalid` if the shadow is no longer in force, and `StoreUnavailable`.
        """
        name = reference.split("@", maxsplit=1)[0]
        shadow = self._known.get(tenant, name, self._shadow)
        if shadow is None:
            return None
        found = self._policies.chosen(tenant, shadow)
        return None if reference_of(found) == reference else found

    def judged_beside(self, tenant: str, name: str) -> list[Policy]:
        """The policies in force whose shadow is whatever version of `name` is in force.

        Raises `StoreUnavailable`.
        """
        found: list[Policy] = []
        for item in dynamo.entries(self._client, self._table, ("tenant", tenant), _PREFIX):
            if item["policy"] == name:
                with suppress(PolicyInvalid):
                    found.append(self._policies.chosen(tenant, item["entry"].removeprefix(_PREFIX)))
        return found

    def put(
        self,
        tenant: str,
        name: str,
        shadow: str,
        by: str,
        *,
        require: Callable[[str, Policy, Policy], None],
        now: datetime,
        writer: Writer | None = None,
    ) -> None:
        """Make `shadow` the shadow of the policy called `name`; both must be in force.

        `require` raises if nothing that is judged under the one could be judged under the other,
        of a tenant. Raises `PolicyInvalid`, `InvalidRequest` also if they are the same, and
        `StoreUnavailable`.
        """
        policy, beside = (self._policies.chosen(tenant, each) for each in (name, shadow))
        if reference_of(policy) == reference_of(beside):
            message = "policy: must be another policy than the one it is the shadow of"
            raise InvalidRequest(message, code="invalid_policy", field="policy")
        require(tenant, policy, beside)
        last = self._item(tenant, name)
        item = _key(tenant, name) | {"policy": shadow, "at": now.isoformat(), "by": by}
        put = {"Put": {"TableName": self._table, "Item": item}}
        before = None if last is None else str(last["policy"])
        self._write(before, shadow, put, writer)
        self._known.forget(tenant, name)

    def remove(self, tenant: str, name: str, *, writer: Writer | None = None) -> None:
        """The policy has no shadow any more; raises `NotFound` and `StoreUnavailable`."""
        last = self._item(tenant, name)
        if last is None:
            raise NotFound("it has no shadow", code="shadow_not_found", field="name")
        delete = {"Delete": {"TableName": self._table, "Key": _key(tenant, name)}}
        self._write(str(last["policy"]), None, delete, writer)
        self._known.forget(tenant, name)

    def _write(
        self, before: str | None, after: str | None, item: dict[str, Any], writer: Writer | None
    ) -> None:
        if writer is None:
            dynamo.write(self._client, [item])
        else:
            writer(before, after, [item])

    def view(self, tenant: str, name: str) -> ShadowView | None:
        """The shadow of the policy called `name`, None if there is none."""
        item = self._item(tenant, name)
        if item is None:
            return None
        facts = {field: item[field] for field in ("policy", "at", "by")}
        comparison = self._comparison(tenant, name, str(item["policy"]))
        return ShadowView.model_validate(facts | {"comparison": comparison})

    def counted(self, tenant: str, verdict: Verdict, shadow: PolicyShadow) -> dict[str, Any]:
        """The transaction item that counts a verdict and what its shadow says."""
        policy = f"{verdict.policy}@{verdict.policy_version}"
        amounts = {
            f"{verdict.decision}_{shadow.decision}": 1,
            "cost_usd": shadow.cost_usd,
        }
        return ledger.compared(
            self._usage_table, tenant, policy, shadow.policy, amounts, shard=shards.chosen()
        )

    def _comparison(self, tenant: str, name: str, shadow: str) -> Comparison | None:
        policy = self._policies.in_force_or_default(tenant, name)
        beside = self._policies.in_force_or_default(tenant, shadow)
        versions = [f"{each.name}@{each.version}" for each in (policy, beside)]
        if beside.name != shadow.split("@", maxsplit=1)[0]:
            return None
        key = ledger.compared_key(tenant, *versions)
        item = listing.counter(self._client, self._usage_table, key)
        pairs = [(one, other) for one in Decision for other in Decision]
        counts = {pair: int(item.get("_".join(pair), 0)) for pair in pairs}
        changes = {
            f"{one} → {other}": count
            for (one, other), count in counts.items()
            if one is not other and count
        }
        return Comparison(
            policy=versions[0],
            shadow=versions[1],
            judged=sum(counts.values()),
            changed=sum(changes.values()),
            changes=changes,
            cost_usd=Decimal(item.get("cost_usd", 0)),
        )

    def _item(self, tenant: str, name: str) -> dict[str, Any] | None:
        return dynamo.get(self._client, self._table, _key(tenant, name), consistent=True)

    def _shadow(self, tenant: str, name: str) -> str | None:
        item = self._item(tenant, name)
        return None if item is None else str(item["policy"])


def _key(tenant: str, name: str) -> dict[str, Any]:
    return {"tenant": tenant, "entry": f"{_PREFIX}{name}"}
