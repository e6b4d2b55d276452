"""A panel that is about to be put, checked against the policies that it may have to judge under."""

from collections.abc import Iterator
from contextlib import suppress

import typer
from quorum.core import registry
from quorum.core.errors import InvalidRequest, PanelInvalid, PolicyInvalid
from quorum.core.registry import Model
from quorum.gateway.models import Models
from quorum.vote.panel import Panel
from quorum.vote.panels import Panels
from quorum.vote.policies import Policies, PolicyVersions
from quorum.vote.policy import Policy
from quorum.vote.policy_check import PolicyCheck
from quorum.vote.policy_reading import covers_all, uncovered

from cli import deployment


def models(where: str) -> Models:
    """The models of a deployment, those put as data among them."""
    table = deployment.outputs_of(where)["ModelsTable"]
    return Models(deployment.dynamodb(where), table, seconds=0)


def panels_of(where: str) -> Panels:
    """The panels of a deployment, read anew each time."""
    path = f"/{deployment.stack_name(where)}"
    ssm = deployment.client(where, "ssm")
    return Panels(ssm, path, seconds=0, voters=lambda: models(where).voters())


def not_judged(
    where: str, panel: Panel, tenant: str | None, *, shadow_of: str | None = None
) -> list[str]:
    """The policies in force, with a category, that `panel` cannot judge under, in words.

    Raises `typer.BadParameter` where a tenant could judge nothing under its policy any more once
    the panel is put, for that `tenant` or for all. The shadow of a panel is checked as if it was in
    its place: of any tenant, since it also tallies beside a panel of the tenant's own.
    """
    name = shadow_of or panel.name
    packaged = {model.name: model for model in registry.voters()}

    def model_of(name: str) -> Model:
        return packaged.get(name) or models(where).model(name)

    if covers_all(panel, model_of):  # as most do: nothing is read
        return []
    panels = panels_of(where)

    def panel_of(whose: str, called: str) -> Panel:
        """The panel as it will be: a tenant's own comes before one that is put for all."""
        if called != name:
            return panels.get(whose, called)
        if tenant is None and shadow_of is None:
            with suppress(PanelInvalid):
                now = panels.effective(whose, name)
                return now.panel if now.source == "tenant" else panel
        return panel

    default_panel = deployment.default_panel(where)
    check = PolicyCheck(panel_of, panels.names, model_of, default_panel=default_panel)
    found: list[str] = []
    for whose, policy in _policies(where, tenant):
        category = uncovered(panel, policy, model_of)
        if category is None or panel_of(whose, name) is not panel:
            continue
        try:
            check.require(whose, policy)
        except InvalidRequest as refused:
            raise typer.BadParameter(
                f"{name}: the policy {policy.name} of {whose} is in force. {refused.message}"
            ) from None
        found.append(f"{policy.name} of {whose}: no voter on it can judge {category}")
    return found


def _policies(where: str, tenant: str | None) -> Iterator[tuple[str, Policy]]:
    """The policies in force of one tenant, or of all; without those that are refused anyway."""
    dynamodb, table = deployment.dynamodb(where), deployment.outputs_of(where)["PoliciesTable"]
    policies = Policies(dynamodb, table, PolicyVersions(dynamodb, table), seconds=0)
    if tenant is None:
        in_force = policies.in_force_anywhere()
    else:
        in_force = [
            (tenant, f"{one.name}@{one.version}")
            for one in policies.in_force(tenant).policies
            if one.source == "tenant"
        ]
    for whose, reference in in_force:
        with suppress(PolicyInvalid):
            yield whose, policies.of(whose, reference)
