"""The routes that list panels, and the languages that the embedded voters know."""

from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from quorum.api.callers import Calling
from quorum.api.http import new_router
from quorum.api.problems import gives
from quorum.core.models import Frozen
from quorum.routes.parameters import App, default_panel
from quorum.vote import coverage
from quorum.vote.coverage import Coverage
from quorum.vote.panel import PACKAGED
from quorum.vote.panels import PanelView

router = new_router()


class PanelList(Frozen):
    """The panels, the name of the default panel, and its default policy's version."""

    default: str
    policy_version: str
    panels: tuple[PanelView, ...]


@router.get("/panels", summary="List the tenant's panels", **gives(PanelList))
def get_panels(
    app: App,
    caller: Calling,
    name: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> PanelList:
    """Each panel's rounds, voters, weights and thresholds, and the place it was loaded from.

    Lists the packaged panels and the key's default one; with `name`, that panel, which may be the
    tenant's own.
    """
    default = default_panel(app, caller)
    policy = app.policies.chosen(caller.tenant)
    names = dict.fromkeys((*PACKAGED, default)) if name is None else (name,)
    return PanelList(
        default=default,
        policy_version=policy.version,
        panels=tuple(
            PanelView.of(app.panels.effective(caller.tenant, each), policy) for each in names
        ),
    )


@router.get(
    "/languages", summary="List the languages that the embedded voters know", **gives(Coverage)
)
def get_languages() -> Coverage:
    """Which embedded voters know each language, and how much of it the panel `embedded` decides.

    The figures are those of the packaged panel, measured on public labelled texts.
    """
    return coverage.packaged()
