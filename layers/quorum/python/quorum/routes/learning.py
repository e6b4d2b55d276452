"""Routes about learning from labels: proposals of panels, tried as a shadow, put by a person."""

from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.core.errors import Conflict, NotFound, TooLarge
from quorum.review.proposals import (
    PAGE_LIMIT,
    PersonRequest,
    Proposal,
    ProposalPage,
    ProposalRequest,
    make,
)
from quorum.routes.parameters import App, default_panel, who

router = new_router()

_ID = r"^[0-9a-f]{20}$"
ProposalId = Annotated[str, Path(pattern=_ID)]


@router.post(
    "/proposals",
    summary="Propose a recalibrated panel",
    **gives(Proposal, Conflict, TooLarge, status=HTTPStatus.CREATED),
)
def post_proposal(request: ProposalRequest, app: App, caller: Calling) -> Proposal:
    """What recalibrating a panel on the labels would change. It has no effect. For operators.

    The labels are the latest of what the panel judged under the policy. Refused where they are too
    few, or the panel is not calibrated.
    """
    tenant = caller.tenant
    panel = app.panels_now.get(tenant, request.panel or default_panel(app, caller))
    made = make(panel, app.labels.latest(tenant), request.policy)
    return app.proposals.add(tenant, made, by=who(caller), person=request.person)


@router.get("/proposals", summary="List the proposals", **gives(ProposalPage))
def get_proposals(
    app: App,
    caller: Calling,
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
    after: Annotated[str | None, Query(alias="next", pattern=_ID)] = None,
) -> ProposalPage:
    """Proposals of panels, the newest first. For operators."""
    return app.proposals.page(caller.tenant, limit=limit, after=after)


@router.get("/proposals/<proposal_id>", summary="Read a proposal", **gives(Proposal, NotFound))
def get_proposal(proposal_id: ProposalId, app: App, caller: Calling) -> Proposal:
    """A proposal, what it would change, and what became of it. For operators."""
    return app.proposals.read(caller.tenant, proposal_id)


@router.post(
    "/proposals/<proposal_id>/shadow",
    summary="Put a proposal as a shadow",
    **gives(Proposal, NotFound, Conflict, TooLarge),
)
def post_shadow(
    proposal_id: ProposalId, request: PersonRequest, app: App, caller: Calling
) -> Proposal:
    """The proposal tallies the tenant's votes beside the panel, and decides nothing. For operators.

    Refused where another version of the panel is in force than it was made of.
    """
    return app.promotion.shadow(caller.tenant, proposal_id, by=who(caller), person=request.person)


@router.post(
    "/proposals/<proposal_id>/promote",
    summary="Put a proposal in force",
    **gives(Proposal, NotFound, Conflict, TooLarge),
)
def post_promotion(
    proposal_id: ProposalId, request: PersonRequest, app: App, caller: Calling
) -> Proposal:
    """The proposal judges for the tenant, within a minute; it was a shadow before. For operators.

    Refused where another version of the panel is in force than it was made of.
    """
    return app.promotion.promote(caller.tenant, proposal_id, by=who(caller), person=request.person)


@router.post(
    "/proposals/<proposal_id>/withdraw",
    summary="Withdraw a proposal",
    **gives(Proposal, NotFound, Conflict, TooLarge),
)
def post_withdrawal(
    proposal_id: ProposalId, request: PersonRequest, app: App, caller: Calling
) -> Proposal:
    """The proposal is no shadow any more, and cannot be put again. For operators."""
    return app.promotion.withdraw(caller.tenant, proposal_id, by=who(caller), person=request.person)
