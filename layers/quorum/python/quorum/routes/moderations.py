"""The route of the OpenAI API's moderations."""

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.idempotency import IdempotencyKey
from quorum.api.openai import OpenAIError, error_of
from quorum.api.problems import gives
from quorum.core.errors import BudgetSpent, Conflict, PanelInvalid, PolicyInvalid, TooLarge
from quorum.gateway.deadline import Deadline
from quorum.routes.parameters import App, default_panel, once, panel_of
from quorum.vote.moderations import Moderation, ModerationRequest, moderation

router = new_router()

ERROR_FORMS = {"/moderations": error_of}
"""The form of the errors of this route: its callers read OpenAI's."""


@router.post(
    "/moderations",
    summary="Judge texts, as the OpenAI API does",
    middlewares=[once],
    **gives(
        *(Moderation, BudgetSpent, Conflict, PanelInvalid, PolicyInvalid, TooLarge),
        error_form=OpenAIError,
    ),
)
def post_moderation(
    request: ModerationRequest,
    app: App,
    caller: Calling,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 the middleware reads it
) -> Moderation:
    """A result for each text, in order; path, form and errors are those of OpenAI's API.

    `quorum` in each result names the decision, the verdict and the reason.
    """
    panel = panel_of(app, caller, request.panel(default_panel(app, caller)))
    policy = app.policies.chosen(caller.tenant, request.policy)
    app.budget.check(caller.tenant)
    deadline = Deadline.of_lambda(router.lambda_context.get_remaining_time_in_millis())
    verdicts = app.concurrent_moderation.moderate_all(
        caller.tenant, request.contents(), panel, policy, deadline
    )
    name = f"modr-{router.current_event.request_context.request_id}"
    return moderation(verdicts, name=name, panel=panel.name, flags_review=caller.review_is_flagged)
