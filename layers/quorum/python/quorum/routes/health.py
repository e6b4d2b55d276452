"""The route that says whether the service is up."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import Field

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.app.api import ApiContainer
from quorum.core import registry
from quorum.core.errors import ModelUnavailable
from quorum.core.models import Frozen, is_none
from quorum.core.registry import Model
from quorum.core.scopes import Scope, require_one
from quorum.gateway.client import Gateway
from quorum.health.doctor import Report
from quorum.health.examination import examined
from quorum.routes.parameters import App

router = new_router()

DEEP_SCOPES: tuple[Scope, ...] = ("operate",)
"""The scopes of which a look at the gateway needs one: it is paid."""
PACKAGED = frozenset(model.name for model in registry.voters())


class Health(Frozen):
    """The service is up; `gateway` is the state of its base URLs, if requested.

    `panels` names the panels whose models every base URL must serve.
    """

    status: Literal["ok"] = "ok"
    default_panel: str
    panels: tuple[str, ...] | None = Field(default=None, exclude_if=is_none)
    gateway: Report | None = Field(default=None, exclude_if=is_none)


@router.get(
    "/health",
    summary="Check the service; with deep=1, the gateway too",
    **gives(Health, also={HTTPStatus.SERVICE_UNAVAILABLE: Health}),
)
def get_health(
    app: App,
    caller: Calling,
    deep: Annotated[bool, Query()] = False,  # noqa: FBT002 a query
    panel: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Response[Health]:
    """Answers if the function runs and its settings are complete.

    `deep` checks every base URL of the gateway, each with a short paid answer; operators only. The
    base URLs themselves are shown to the deployment's operator.
    The gateway is healthy if every base URL serves all models of the tenant's default panel and of
    the panels that override packaged ones, or of `panel` alone; models put as data are looked for
    at their own servers. Other panels are reported.
    """
    health = Health(default_panel=app.settings.default_panel)
    if not deep:
        return Response(HTTPStatus.OK.value, "application/json", health)
    require_one(caller.effective_scopes, DEEP_SCOPES)
    panels = (
        app.panels.in_force(caller.tenant, app.settings.default_panel)
        if panel is None
        else (app.panels.get(caller.tenant, panel),)
    )
    needed = {voter for each in panels for voter in each.voters}
    report = examined(
        app.gateway,
        app.dynamodb,
        app.settings.usage_table,
        caller.tenant,
        needed=needed,
        put=_put(app, needed),
    )
    status = HTTPStatus.OK if report.healthy else HTTPStatus.SERVICE_UNAVAILABLE
    names = tuple(each.name for each in panels)
    told = report if caller.role == "deployment_operator" else report.without_urls()
    shown = health.model_copy(update={"panels": names, "gateway": told})
    return Response(status.value, "application/json", shown)


def _put(app: ApiContainer, needed: set[str]) -> list[tuple[Model, Gateway | None]]:
    """The needed models that were put as data, each with the client of its own server, if any.

    One whose server the deployment no longer allows is left out: its votes say so.
    """
    found: list[tuple[Model, Gateway | None]] = []
    if all(voter in PACKAGED for voter in needed):
        return found
    for known in app.models.entries().values():
        if known.name in needed:
            own = known.entry.base_url is not None
            with suppress(ModelUnavailable):
                gateway = app.model_gateways.of(known.entry) if own else None
                found.append((known.model, gateway))
    return found
