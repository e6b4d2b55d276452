"""Routes about one verdict, and the reviews of verdicts."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling, operators_only
from quorum.api.http import new_router
from quorum.api.idempotency import IdempotencyKey
from quorum.api.problems import gives
from quorum.core.errors import BudgetSpent, Conflict, NotFound, TooLarge
from quorum.core.models import Verdict
from quorum.routes.parameters import App, once
from quorum.vote.requests import ReviewRequest, VerdictRequest
from quorum.vote.reviews import PAGE_LIMIT, Page, Status

router = new_router()


@router.post(
    "/verdicts",
    summary="Judge a content",
    middlewares=[once],
    **gives(Verdict, BudgetSpent, Conflict, TooLarge),
)
def post_verdict(
    request: VerdictRequest,
    app: App,
    caller: Calling,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 the middleware reads it
) -> Verdict:
    """The verdict, with every vote and its cost."""
    panel = app.panels.get(caller.tenant, request.panel or app.settings.default_panel)
    policy = app.policies.chosen(caller.tenant, request.policy)
    app.budget.check(caller.tenant)
    return app.workflow.moderate(caller.tenant, request.to_content(), panel, policy)


@router.get("/verdicts/<verdict_id>", summary="Read a verdict", **gives(Verdict, NotFound))
def get_verdict(verdict_id: str, app: App, caller: Calling) -> Verdict:
    """A stored verdict of the caller's tenant."""
    return app.verdicts.get(caller.tenant, verdict_id)


@router.post(
    "/verdicts/<verdict_id>/review",
    summary="Review a verdict",
    middlewares=[operators_only],
    **gives(Verdict, NotFound, Conflict, TooLarge),
)
def post_review(verdict_id: str, request: ReviewRequest, app: App, caller: Calling) -> Verdict:
    """The verdict with the review; the panel's own decision stays as it was. For operators."""
    return app.reviews.add(caller.tenant, verdict_id, request.to_review(datetime.now(UTC)))


@router.get(
    "/reviews",
    summary="List the verdicts that wait for a reviewer",
    middlewares=[operators_only],
    **gives(Page),
)
def get_reviews(
    app: App,
    caller: Calling,
    status: Annotated[Status, Query()] = "pending",
    limit: Annotated[int, Query(ge=1, le=PAGE_LIMIT)] = PAGE_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=512)] = None,
) -> Page:
    """Verdicts with those contents that are still kept, the oldest first. For operators.

    `status=reviewed` lists the reviewed ones.
    """
    return app.reviews.page(caller.tenant, status, limit=limit, after=after)
