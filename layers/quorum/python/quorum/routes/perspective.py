"""The routes of the Perspective API: `comments:analyze`, `comments:suggestscore`, and discovery."""

import re
from typing import Annotated, Any
from uuid import uuid4

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.perspective import GoogleError, error_of
from quorum.api.problems import gives
from quorum.aws.keys import GOOGLES_ROUTES
from quorum.core.errors import (
    BudgetSpent,
    NotAllowed,
    NotFound,
    PanelInvalid,
    TooLarge,
)
from quorum.gateway.deadline import Deadline
from quorum.routes.parameters import App, panel_of
from quorum.vote.discovery import DiscoveryDocument, document
from quorum.vote.perspective import (
    AnalyzeCommentRequest,
    AnalyzeCommentResponse,
    SuggestCommentScoreRequest,
    SuggestCommentScoreResponse,
)

router = new_router()

ANALYZE, SUGGEST = GOOGLES_ROUTES
DISCOVERY = "/$discovery/rest"
VERSION = "v1alpha1"
ERROR_FORMS = dict.fromkeys((*GOOGLES_ROUTES, DISCOVERY), error_of)
"""The form of the errors of these routes: their callers read Google's."""
LENIENT_ROUTES = GOOGLES_ROUTES
"""The routes that read JSON as people write it by hand, as Google's do."""
GOOGLES_PARAMETERS = frozenset(
    {
        *("access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint"),
        *("quotaUser", "uploadType", "upload_protocol", "$.xgafv"),  # of the discovery document
        *("pp", "strict", "trace", "userIp", "userip"),  # Google's clients let these through
    }
)
"""The parameters that all of Google's APIs take. But for the key they mean nothing here."""
IGNORED_PARAMETERS = dict.fromkeys(
    (*GOOGLES_ROUTES, DISCOVERY),
    GOOGLES_PARAMETERS | {f"${name}" for name in GOOGLES_PARAMETERS},  # the newer spelling
)
_DISCOVERED = re.compile(r"/(\$|%24)discovery/rest/*$")


PanelName = Annotated[str | None, Query(min_length=1, max_length=64)]
"""Quorum's own: the panel that judges. The parameters of all of Google's APIs are ignored."""


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

    `quorum` names the decision, the verdict and the reason. The key may say that attributes that
    no voter gives are left out: a client that exists does not ask for it.
    """
    judging = panel_of(app, caller, panel)
    policy = app.policies.chosen(caller.tenant, None)
    app.budget.check(caller.tenant)
    if caller.drop_unsupported_attributes:
        request = request.model_copy(update={"drop_unsupported_attributes": True})
    deadline = Deadline.of_lambda(router.lambda_context.get_remaining_time_in_millis())
    return app.comment_analysis.analyze(caller.tenant, request, judging, policy, deadline)


@router.post(
    SUGGEST,
    summary="Suggest what a comment's scores should be, as the Perspective API does",
    **gives(
        *(SuggestCommentScoreResponse, NotAllowed, PanelInvalid, TooLarge),
        error_form=GoogleError,
    ),
)
def suggest_comment_score(
    request: SuggestCommentScoreRequest, app: App, caller: Calling, panel: PanelName = None
) -> SuggestCommentScoreResponse:
    """A receipt. The suggestion becomes a label; it changes no verdict and decides nothing."""
    judging = panel_of(app, caller, panel)
    policy = app.policies.chosen(caller.tenant, None)
    evaluation = app.workflow.open(
        caller.tenant, request.content(), judging, policy, uuid4().hex, is_trial=True
    )
    app.suggestions.add(evaluation, request.decision(), request.scores(), policy)
    return SuggestCommentScoreResponse(
        client_token=request.client_token,
        detected_languages=request.detected(),
        requested_languages=request.languages,
    )


@router.get(
    DISCOVERY.replace("$", r"\$"),  # a route is a regular expression
    summary="Describe these routes to Google's clients",
    **gives(DiscoveryDocument, NotFound, error_form=GoogleError),
)
def get_discovery(
    app: App, version: Annotated[str, Query(max_length=64)] = VERSION
) -> DiscoveryDocument:
    """The discovery document, with the address under which it was asked for. Needs no key."""
    if version != VERSION:
        raise NotFound(f"there is only the version {VERSION}", field="version")
    event = router.current_event.raw_event
    return document(root_url(event, app.settings.aws_endpoint_url))


def root_url(event: dict[str, Any], endpoint: str) -> str:
    """The address of the API, with the stage or base path of the request, and a slash at the end.

    `endpoint` is that of the local stack, whose requests do not say under which path they came.
    """
    context = event["requestContext"]
    if endpoint:
        return f"{endpoint}/_aws/execute-api/{context['apiId']}/{context['stage']}/"
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    scheme = headers.get("x-forwarded-proto", "https")
    return f"{scheme}://{headers['host']}{_DISCOVERED.sub('', context['path'])}/"
