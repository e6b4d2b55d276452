"""Proposals on the stack: stored as a recalibration on enough labels would store them."""

from quorum.audit.trail import AuditTrail
from quorum.review.proposals import Proposal, Proposals

from local.state import Stack
from tests import make


def proposed(stack: Stack, tenant: str) -> Proposal:
    """A new proposal for the tenant's panel `economy`."""
    table = stack.resource()
    audited = AuditTrail(table, stack.outputs["AuditTable"])
    stored = Proposals(table, stack.outputs["ProposalsTable"], audited)
    return stored.add(tenant, make.made_proposal(), by="test")
