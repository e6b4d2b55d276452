"""Routes about models: those that there are, and those that the deployment's operator puts."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path

from quorum.answer import listing
from quorum.answer.listing import ListedModel, ListedModels
from quorum.api.callers import Calling, deployment_operators_only
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.audit.chain import Action
from quorum.core.errors import BudgetSpent, Conflict, NotFound, PreconditionFailed, TooLarge
from quorum.core.model_entry import NAME_PATTERN, ModelEntry
from quorum.gateway.models import ModelEntryView
from quorum.routes.parameters import App, IfMatch, recorded, tagged, version_in, who
from quorum.vote import probing
from quorum.vote.probing import ProbeReport

router = new_router()

Name = Annotated[str, Path(pattern=NAME_PATTERN)]


@router.get("/models", summary="List the models, as the OpenAI API does", **gives(ListedModels))
def get_models(app: App) -> ListedModels:
    """All models in the form of the OpenAI API, with prices, limits and which of them vote."""
    return listing.models(known.model for known in app.models.entries().values())


@router.get(
    "/models/<name>",
    summary="Read a model, as the OpenAI API does",
    **gives(ListedModel, NotFound),
)
def get_model(name: str, app: App, caller: Calling) -> Response[ListedModel]:
    """One model of the list, by its name or an alias.

    The deployment's operator sees the entry of a model that was put as data; the ETag is then its
    version.
    """
    sees = caller.role == "deployment_operator"
    found = listing.model(name, app.models.model, app.models.view if sees else None)
    headers = {} if found.entry is None else {"ETag": f'"{found.entry.version}"'}
    return Response(HTTPStatus.OK.value, "application/json", found, headers=headers)


@router.put(
    "/models/<name>",
    summary="Put a model in force",
    middlewares=[deployment_operators_only],
    **gives(ModelEntryView, NotFound, PreconditionFailed, TooLarge),
)
def put_model(
    name: Name, request: ModelEntry, app: App, caller: Calling, if_match: IfMatch = None
) -> Response[ModelEntryView]:
    """The entry as put; panels may use the model at once. Every version is kept.

    With If-Match, only if that version is in force. For the deployment's operator.
    """
    app.model_gateways.require(request)
    return tagged(
        app.models.put(
            name,
            request,
            who(caller),
            expected=version_in(if_match),
            now=datetime.now(UTC),
            writer=recorded(app, caller, Action.MODEL_PUT, f"model/{name}"),
        )
    )


@router.delete(
    "/models/<name>",
    summary="Put a model out of force",
    middlewares=[deployment_operators_only],
    **gives(ModelEntryView, NotFound, Conflict, PreconditionFailed),
)
def delete_model(
    name: Name, app: App, caller: Calling, if_match: IfMatch = None
) -> Response[ModelEntryView]:
    """What was in force. Refused while a panel of the deployment or a tenant uses the model.

    For the deployment's operator.
    """
    app.models.view(name)
    using = app.panels.using(name)
    if using:
        raise Conflict(
            f"panels use {name}: {', '.join(using)}; put them without it first",
            code="model_seated",
            field="name",
        )
    return tagged(
        app.models.delete(
            name,
            who(caller),
            expected=version_in(if_match),
            now=datetime.now(UTC),
            writer=recorded(app, caller, Action.MODEL_DELETED, f"model/{name}"),
        )
    )


@router.post(
    "/models/<name>/probe",
    summary="Ask a model one vote and say what it can do",
    middlewares=[deployment_operators_only],
    **gives(ProbeReport, BudgetSpent, NotFound),
)
def post_probe(name: Name, app: App, caller: Calling) -> ProbeReport:
    """Which forms of reply the model keeps to, and whether it gives log-probabilities and usage.

    It is asked up to three times for a vote on a harmless text, which is paid and booked to the
    caller's tenant. For the deployment's operator.
    """
    app.budget.check(caller.tenant)
    app.models.view(name)
    known = app.models.entry_of(name)
    return probing.probed(
        known,
        app.model_gateways.of(known.entry).base_urls,
        app.dynamodb,
        app.settings.usage_table,
        caller.tenant,
    )
