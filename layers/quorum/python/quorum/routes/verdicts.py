"""Routes about verdicts."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import StringConstraints

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.idempotency import IdempotencyKey
from quorum.api.problems import gives
from quorum.core.errors import BudgetSpent, Conflict, NotFound, TooLarge
from quorum.core.models import CategoryName, Decision, Verdict
from quorum.routes.parameters import App, FromMoment, ToMoment, once, panel_of, period
from quorum.vote.requests import VerdictRequest
from quorum.vote.suggestions import PAGE_LIMIT as SUGGESTIONS_LIMIT
from quorum.vote.suggestions import SuggestionPage
from quorum.vote.verdict_list import METADATA_FILTERS, VerdictFilter, VerdictPage
from quorum.vote.verdict_list import PAGE_LIMIT as LIST_LIMIT

router = new_router()

MetadataEntry = Annotated[str, StringConstraints(min_length=1, max_length=512)]
"""Name and value of an entry of metadata with `=` between them, or the name alone."""


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
    panel = panel_of(app, caller, request.panel)
    policy = app.policies.chosen(caller.tenant, request.policy)
    app.budget.check(caller.tenant)
    return app.workflow.moderate(caller.tenant, request.to_content(), panel, policy)


@router.get("/verdicts", summary="List verdicts", **gives(VerdictPage))
def get_verdicts(  # noqa: PLR0913, PLR0917 - a parameter for each filter
    app: App,
    caller: Calling,
    decision: Annotated[Decision | None, Query()] = None,
    category: Annotated[CategoryName | None, Query()] = None,
    panel: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    policy: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = None,
    language: Annotated[str | None, Query(pattern=r"^[a-z]{2,3}$")] = None,
    metadata: Annotated[tuple[MetadataEntry, ...], Query(max_length=METADATA_FILTERS)] = (),
    start: FromMoment = None,
    end: ToMoment = None,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT)] = LIST_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=512)] = None,
) -> VerdictPage:
    """Verdicts of the caller's tenant, newest first, by default of this month.

    `from` and `to` are days in UTC, both of them included, or times with their zone; then verdicts
    are of `from` or later, and of before `to`. `category` is one that is flagged. `metadata` is
    `name=value`, an entry of the request's metadata, or `name`, one of any value; given several
    times, verdicts have all of them. A page with a `next` may be short, or empty.
    """
    wanted = VerdictFilter(
        decision=decision,
        category=category,
        panel=panel,
        policy=policy,
        language=language,
        metadata=metadata,
    )
    asked = period(start, end)
    return app.verdict_list.page(caller.tenant, wanted, asked, limit=limit, after=after)


@router.get("/verdicts/<verdict_id>", summary="Read a verdict", **gives(Verdict, NotFound))
def get_verdict(verdict_id: str, app: App, caller: Calling) -> Verdict:
    """A stored verdict of the caller's tenant."""
    return app.verdicts.get(caller.tenant, verdict_id)


@router.get(
    "/suggestions",
    summary="List the suggested decisions",
    **gives(SuggestionPage),
)
def get_suggestions(
    app: App,
    caller: Calling,
    limit: Annotated[int, Query(ge=1, le=SUGGESTIONS_LIMIT)] = SUGGESTIONS_LIMIT,
    after: Annotated[str | None, Query(alias="next", max_length=512)] = None,
) -> SuggestionPage:
    """What clients of the Perspective API suggested, the oldest first. For operators."""
    return app.suggestions.page(caller.tenant, limit=limit, after=after)
