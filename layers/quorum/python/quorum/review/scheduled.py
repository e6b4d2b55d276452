"""The scheduled run: a proposal for each panel of each tenant whose labels call for one.

It stores proposals and may do nothing else with them: a person puts them in force.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from quorum.aws import dynamo
from quorum.aws.telemetry import logger
from quorum.core.errors import PanelInvalid, QuorumError, RequestRejected
from quorum.core.models import Frozen
from quorum.review.proposals import Labels, Proposal, Proposals, make, of_panel, reasons
from quorum.vote.panel import Calibrated, Panel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

    from quorum.vote.reviews import Label

BY = "schedule"
"""The name in the place of a key's, in proposals and in the audit trail."""
_INDEX = "tenants"


class Run(Frozen):
    """The result of a run: tenants looked at, proposals made, and tenants that failed or were left.

    It names neither tenants nor panels: it is logged.
    """

    tenants: int
    proposals: int
    failed: int
    left: int


class _Judging(NamedTuple):
    """A panel, and the policy under which it judged what was labelled."""

    panel: str
    policy: str


class ScheduledProposals:
    """A run over all tenants that have keys."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        keys_table: str,
        labels: Labels,
        proposals: Proposals,
        in_force: Callable[[str, str], Panel],
        *,
        clock: Callable[[], float] = time,
    ) -> None:
        self._client: Any = dynamodb.meta.client  # takes Python values, which its type denies
        self._keys_table = keys_table
        self._labels = labels
        self._proposals = proposals
        self._in_force = in_force
        self._clock = clock

    def run(self, *, enough: Callable[[], bool]) -> Run:
        """Look at one tenant after the other, as long as there is `enough` time.

        Each day begins with another tenant, so that none is always left. Raises `StoreUnavailable`
        if the tenants cannot be read.
        """
        tenants = sorted(set(self._tenants()))
        start = int(self._clock() // 86_400) % max(len(tenants), 1)
        waiting = tenants[start:] + tenants[:start]
        looked = made = failed = 0
        for tenant in waiting:
            if not enough():
                break
            looked += 1
            try:
                made += len(self.propose(tenant))
            except QuorumError as error:
                failed += 1
                logger.error("no proposals for a tenant", extra={"error": type(error).__name__})
        return Run(tenants=looked, proposals=made, failed=failed, left=len(waiting) - looked)

    def propose(self, tenant: str) -> list[Proposal]:
        """The proposals that the tenant's labels call for, stored."""
        labels = self._labels.latest(tenant)
        judging = {_Judging(one.verdict.panel, one.verdict.policy) for one in labels}
        return [
            proposal
            for each in sorted(judging)
            if (proposal := self._proposal(tenant, each, labels)) is not None
        ]

    def _proposal(
        self, tenant: str, judging: _Judging, labels: "Sequence[Label]"
    ) -> Proposal | None:
        """A proposal for one panel under one policy, if its labels call for it and are enough."""
        own = of_panel(labels, *judging)
        try:
            panel = self._in_force(tenant, judging.panel)
            if not isinstance(panel.rule, Calibrated):
                return None
            now = datetime.fromtimestamp(self._clock(), UTC)
            last = self._proposals.last_of(tenant, *judging)
            why = reasons(panel, own, last, now)
            made = make(panel, own, judging.policy, why) if why else None
        except (RequestRejected, PanelInvalid):  # too few labels, or the panel is no longer there
            return None
        return None if made is None else self._proposals.add(tenant, made, by=BY)

    def _tenants(self) -> Iterator[str]:
        """The tenants that have keys, from the index that holds nothing else of a key."""
        request = {"TableName": self._keys_table, "IndexName": _INDEX}
        return (str(item["tenant"]) for item in dynamo.scan(self._client, **request))
