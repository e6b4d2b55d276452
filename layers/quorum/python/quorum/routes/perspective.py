"""The routes of the Perspective API: `comments:analyze`."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Depends, Request
from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import caller_of
from quorum.api.http import new_router
from quorum.api.perspective import GoogleError, error_of
from quorum.api.problems import gives
from quorum.aws.keys import GOOGLES_ROUTES, REFUSED, Caller
from quorum.core.errors import BudgetSpent, InvalidRequest, NotAllowed, PanelInvalid, TooLarge
from quorum.gateway.deadline import Deadline
from quorum.routes.parameters import App
from quorum.vote.perspective import AnalyzeCommentRequest, AnalyzeCommentResponse

router = new_router()

ANALYZE, SUGGEST = GOOGLES_ROUTES
ERROR_FORMS = dict.fromkeys(GOOGLES_ROUTES, error_of)
"""The form of the errors of these routes: their callers read Google's."""
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use "
    "API Key or other form of API consumer identity to call this API."
)


def _calling(request: Request) -> Caller:
    """The caller; raises as Google answers a request without a key, or with an unknown one."""
    refused = request.resolved_event["requestContext"]["authorizer"].get(REFUSED)
    if refused == "missing":
        raise NotAllowed(_NO_KEY, code="no_api_key")
    if refused is not None:
        raise InvalidRequest(
            "API key not valid. Please pass a valid API key.", code="invalid_api_key"
        )
    return caller_of(request.resolved_event)


Calling = Annotated[Caller, Depends(_calling)]
PanelName = Annotated[str | None, Query(min_length=1, max_length=64)]
"""Quorum's own: the panel that judges. Other parameters of Google's APIs are taken and ignored."""


@router.post(
    ANALYZE,
    summary="Score a comment's attributes, as the Perspective API does",
    **gives(
        *(AnalyzeCommentResponse, BudgetSpent, NotAllowed, PanelInvalid, TooLarge),
        error_form=GoogleError,
    ),
)
def analyze_comment(
    request: AnalyzeCommentRequest, app: App, caller: Calling, panel: PanelName = None
) -> AnalyzeCommentResponse:
    """The scores of the wanted attributes; path, form and errors are those of Perspective.

    `quorum` names the decision, the verdict and the reason.
    """
    judging = app.panels.get(caller.tenant, panel or app.settings.default_panel)
    policy = app.policies.chosen(caller.tenant, None)
    app.budget.check(caller.tenant)
    deadline = Deadline.of_lambda(router.lambda_context.get_remaining_time_in_millis())
    return app.comment_analysis.analyze(caller.tenant, request, judging, policy, deadline)
