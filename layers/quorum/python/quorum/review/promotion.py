"""A proposal put as a shadow, and then in force: by a person, never by the service.

Both are parameters of the tenant (`quorum.vote.panels`). A proposal is of one version of a panel,
and is refused once another one is in force: what it would change was measured against that.

The step is recorded first, and then the parameter is written. Where that fails, the request is a
503, and the same request sent again writes it without another entry.
"""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from quorum.aws.faults import unavailable
from quorum.core.errors import Conflict, InvalidRequest
from quorum.review.proposals import Proposal, Proposals, ProposalState
from quorum.vote.panel import Panel
from quorum.vote.panels import may_be_parameter, parameter_name, shadow_parameter_name

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PARAMETER_LIMIT = 8192
"""Bytes of a panel: a parameter of SSM holds no more."""


class Promotion:
    """What people do with proposals. `in_force` reads the tenant's panel by name, now."""

    def __init__(
        self,
        ssm: "SSMClient",
        path: str,
        proposals: Proposals,
        in_force: Callable[[str, str], Panel],
    ) -> None:
        self._ssm = ssm
        self._path = path
        self._proposals = proposals
        self._in_force = in_force

    def shadow(self, tenant: str, proposal_id: str, *, by: str, person: str) -> Proposal:
        """The proposal as the shadow of the panel it was made of; the same again changes nothing.

        Raises `NotFound`, `Conflict`, `InvalidRequest` and `StoreUnavailable`.
        """
        proposal = self._proposals.read(tenant, proposal_id)
        self._require_current(tenant, proposal)
        parameter = self._parameter(shadow_parameter_name, tenant, proposal)
        if proposal.state is not ProposalState.SHADOW:
            _require(proposal, ProposalState.PROPOSED)
            to = ProposalState.SHADOW
            proposal = self._proposals.move(tenant, proposal, to, by=by, person=person)
        self._put(parameter, proposal.panel)
        return proposal

    def promote(self, tenant: str, proposal_id: str, *, by: str, person: str) -> Proposal:
        """The proposal in force for the tenant; it was a shadow before, which it no longer is.

        Raises as `shadow`.
        """
        proposal = self._proposals.read(tenant, proposal_id)
        parameter = self._parameter(parameter_name, tenant, proposal)
        if proposal.state is not ProposalState.PROMOTED:
            _require(proposal, ProposalState.SHADOW)
            self._require_current(tenant, proposal)
            to = ProposalState.PROMOTED
            proposal = self._proposals.move(tenant, proposal, to, by=by, person=person)
        elif self._in_force(tenant, proposal.name).version != proposal.version:
            self._require_current(tenant, proposal)
        self._put(parameter, proposal.panel)
        self._remove(tenant, proposal)
        return proposal

    def withdraw(self, tenant: str, proposal_id: str, *, by: str, person: str) -> Proposal:
        """The proposal withdrawn, and no shadow any more. Raises as `shadow`."""
        proposal = self._proposals.read(tenant, proposal_id)
        if proposal.state is not ProposalState.WITHDRAWN:
            _require(proposal, ProposalState.PROPOSED, ProposalState.SHADOW)
            to = ProposalState.WITHDRAWN
            proposal = self._proposals.move(tenant, proposal, to, by=by, person=person)
        self._remove(tenant, proposal)
        return proposal

    def _require_current(self, tenant: str, proposal: Proposal) -> None:
        """Raise `Conflict` unless the version that the proposal was made of is in force."""
        current = self._in_force(tenant, proposal.name).version
        if current != proposal.from_version:
            raise Conflict(
                f"the proposal is of version {proposal.from_version} of {proposal.name}, but"
                f" {current} is in force; make another proposal",
                code="panel_changed",
                limit=current,
            )

    def _parameter(self, named: Callable[..., str], tenant: str, proposal: Proposal) -> str:
        """The name of the parameter; raises `InvalidRequest` if the panel cannot be in it."""
        parameter = named(self._path, proposal.name, tenant=tenant)
        if not may_be_parameter(parameter):
            raise InvalidRequest(
                "no parameter can have this tenant's name, so it has no panels of its own",
                code="tenant_without_panels",
            )
        size = len(_text(proposal.panel).encode())
        if size > PARAMETER_LIMIT:
            raise InvalidRequest(
                f"the panel has {size} bytes; a parameter holds {PARAMETER_LIMIT}",
                code="panel_too_large",
                limit=PARAMETER_LIMIT,
            )
        return parameter

    def _put(self, parameter: str, panel: Panel) -> None:
        with unavailable("the panel could not be put"):
            self._ssm.put_parameter(
                Name=parameter,
                Value=_text(panel),
                Type="String",
                Overwrite=True,
                Tier="Intelligent-Tiering",
            )

    def _remove(self, tenant: str, proposal: Proposal) -> None:
        """Delete the tenant's shadow of the panel, if it is this proposal's."""
        parameter = shadow_parameter_name(self._path, proposal.name, tenant=tenant)
        if not may_be_parameter(parameter):
            return
        with unavailable("the shadow could not be removed"):
            try:
                found = self._ssm.get_parameter(Name=parameter)["Parameter"]["Value"]
            except self._ssm.exceptions.ParameterNotFound:
                return
            if found == _text(proposal.panel):
                self._ssm.delete_parameter(Name=parameter)


def _text(panel: Panel) -> str:
    """The panel as a parameter holds it."""
    return json.dumps(panel.document(), separators=(",", ":"), ensure_ascii=False)


def _require(proposal: Proposal, *states: ProposalState) -> None:
    if proposal.state not in states:
        raise Conflict(
            f"the proposal is {proposal.state}; this takes one that is {' or '.join(states)}",
            code="proposal_state",
            limit=str(proposal.state),
        )
