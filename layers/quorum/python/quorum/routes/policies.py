"""Routes about policies: what the tenant calls unsafe."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.audit.chain import Action
from quorum.core.errors import BudgetSpent, NotFound, PreconditionFailed, TooLarge
from quorum.routes.parameters import App, IfMatch, panel_of, recorded, tagged, version_in, who
from quorum.vote.policies import LAST, PolicyList, PolicyView
from quorum.vote.policy import Policy, PolicyDocument
from quorum.vote.policy_shadows import ShadowRequest, ShownPolicy
from quorum.vote.trials import Trial, TrialRequest

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

router = new_router()


NAME = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
"""The name of a policy, as a regular expression."""
Name = Annotated[str, Path(pattern=NAME)]


@router.get("/policies", summary="List the tenant's policies", **gives(PolicyList))
def get_policies(app: App, caller: Calling) -> PolicyList:
    """List the policies in force with their versions, and the packaged one."""
    return app.policies.in_force(caller.tenant)


@router.get(
    "/policies/<name>", summary="Read a policy and its history", **gives(ShownPolicy, NotFound)
)
def get_policy(
    name: Name,
    app: App,
    caller: Calling,
    version: Annotated[str | None, Query(pattern=rf"^([0-9a-f]{{12}}|{LAST})$")] = None,
) -> Response[ShownPolicy]:
    """Show the version in force, or any version that was ever put. The ETag is its version.

    `last` is the version that was put last, which a policy that was deleted has too, with its
    history.
    """
    return tagged(shown(app, caller.tenant, name, version))


@router.put(
    "/policies/<name>/shadow",
    summary="Set the shadow of a policy",
    **gives(ShownPolicy, NotFound, TooLarge),
)
def put_shadow(
    name: Name, request: ShadowRequest, app: App, caller: Calling
) -> Response[ShownPolicy]:
    """Set a policy's shadow, which judges the same texts, is counted and decides nothing.

    If the policies send voters different things, the shadow's votes are paid too. Refused if no
    panel that judges under the policy could judge under the shadow. For operators.
    """
    app.policies.view(caller.tenant, name)  # an unknown name in the address is not found
    app.policy_shadows.put(
        caller.tenant,
        name,
        request.policy,
        who(caller),
        require=app.policy_check.require_beside,
        now=datetime.now(UTC),
        writer=recorded(app, caller, Action.POLICY_SHADOW_PUT, f"policy/{name}"),
    )
    return tagged(shown(app, caller.tenant, name))


@router.delete(
    "/policies/<name>/shadow",
    summary="Remove the shadow of a policy",
    **gives(ShownPolicy, NotFound),
)
def delete_shadow(name: Name, app: App, caller: Calling) -> Response[ShownPolicy]:
    """Remove a policy's shadow; what was counted stays. For operators."""
    writer = recorded(app, caller, Action.POLICY_SHADOW_REMOVED, f"policy/{name}")
    app.policy_shadows.remove(caller.tenant, name, writer=writer)
    return tagged(shown(app, caller.tenant, name))


@router.put(
    "/policies/<name>",
    summary="Put a policy in force",
    **gives(PolicyView, NotFound, PreconditionFailed, TooLarge),
)
def put_policy(
    name: Name, request: PolicyDocument, app: App, caller: Calling, if_match: IfMatch = None
) -> Response[PolicyView]:
    """Put a policy in force. Every version is kept, and an earlier one can be put again.

    With If-Match, only if that version is in force. Refused if no panel could judge under it, or
    none that judges under a policy whose shadow it is. For operators.
    """
    policy = Policy.of(name, request)
    app.policy_check.require(caller.tenant, policy)
    for judged in app.policy_shadows.judged_beside(caller.tenant, name):
        app.policy_check.require_beside(caller.tenant, judged, policy, field="categories")
    return tagged(
        app.policies.put(
            caller.tenant,
            policy,
            who(caller),
            expected=version_in(if_match),
            now=datetime.now(UTC),
            writer=recorded(app, caller, Action.POLICY_PUT, f"policy/{name}"),
        )
    )


@router.delete(
    "/policies/<name>",
    summary="Put a policy out of force",
    **gives(PolicyView, NotFound, PreconditionFailed),
)
def delete_policy(
    name: Name, app: App, caller: Calling, if_match: IfMatch = None
) -> Response[PolicyView]:
    """Put a policy out of force, and return it. Batches that began under it finish under it.

    Its versions are kept. A tenant that deletes its `default` is judged under the packaged policy.
    For operators.
    """
    return tagged(
        app.policies.delete(
            caller.tenant,
            name,
            who(caller),
            expected=version_in(if_match),
            now=datetime.now(UTC),
            writer=recorded(app, caller, Action.POLICY_DELETED, f"policy/{name}"),
        )
    )


@router.post(
    "/policies/<name>/try",
    summary="Try a policy before it is in force",
    **gives(Trial, BudgetSpent, NotFound, TooLarge),
)
def post_trial(name: Name, request: TrialRequest, app: App, caller: Calling) -> Trial:
    """Try what a policy would change on up to 50 texts or verdicts, and what it would cost.

    It is compared with the policy of that name in force, or with the tenant's `default` if there is
    none or no policy is given. The votes are paid. For operators.
    """
    tenant = caller.tenant
    panel = panel_of(app, caller, request.panel)
    app.budget.check(tenant)
    if request.policy is None:
        app.policies.view(tenant, name)  # an unknown name in the address is not found
        before, after = app.policies.chosen(tenant), app.policies.chosen(tenant, name)
    else:
        after = Policy.of(name, request.policy)
        app.policies.keep(tenant, after)
        before = app.policies.in_force_or_default(tenant, name)
    return app.trials.run(tenant, request, panel, before, after)


def shown(app: "ApiContainer", tenant: str, name: str, version: str | None = None) -> ShownPolicy:
    """A version of a policy, by default the one in force, and its shadow if it has one.

    Raises `NotFound`.
    """
    view = app.policies.view(tenant, name, version)
    fields = {field: getattr(view, field) for field in PolicyView.model_fields}
    return ShownPolicy(**fields, shadow=app.policy_shadows.view(tenant, view.name))
