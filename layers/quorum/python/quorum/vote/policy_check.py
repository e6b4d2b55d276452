"""Policies that no panel could judge under, refused when they are put, and such panels too.

A voter that is told the policy judges all its categories; an embedded voter and a guard model
only of some. A tenant's policy `default` needs a default panel whose voters can judge every
enabled category, because both apply where a request names neither. Any other policy needs one such
panel among those that the tenant may use, because a request may name both. A policy that is to be
another's shadow is judged by the panels of that one, and needs one among them.
"""

from collections.abc import Callable, Iterable

from quorum.core.errors import InvalidRequest, PanelInvalid
from quorum.core.registry import Model
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT, Policy
from quorum.vote.policy_reading import uncovered


class PolicyCheck:
    """Whether a tenant's panels can judge what its policies ask about.

    `panel_of` finds a tenant's panel by name and raises `PanelInvalid` where there is none;
    `names_of` are the names of all panels that it may use. Both raise `StoreUnavailable`.
    """

    def __init__(
        self,
        panel_of: Callable[[str, str], Panel],
        names_of: Callable[[str], Iterable[str]],
        model_of: Callable[[str], Model],
        *,
        default_panel: str,
    ) -> None:
        self._panel_of = panel_of
        self._names_of = names_of
        self._model_of = model_of
        self._default_panel = default_panel

    def require(self, tenant: str, policy: Policy) -> None:
        """Raise `InvalidRequest`, which names the category, if nothing could be judged under it.

        A default panel that is not there yet is no reason: it is looked at when it is put.
        """
        if policy.judges_as_default:  # whatever the panel: nothing needs to be read
            return
        default = self._found(tenant, self._default_panel)
        missing = None if default is None else uncovered(default, policy, self._model_of)
        if missing is None:
            return
        if policy.name == DEFAULT.name:
            raise _refusal(
                missing,
                f"no voter on the panel {self._default_panel} can judge it, and that panel"
                " judges what names neither a panel nor a policy; put that panel with a voter that"
                " is told the policy first, or put the policy under another name",
            )
        panels = (self._found(tenant, name) for name in self._names_of(tenant))
        if all(one is None or uncovered(one, policy, self._model_of) for one in panels):
            raise _refusal(
                missing,
                f"no panel of yours has voters for every category of the policy {policy.name}, and"
                f" none on {self._default_panel} can judge this one; put a panel with a voter"
                " that is told the policy first",
            )

    def require_beside(
        self, tenant: str, policy: Policy, shadow: Policy, *, field: str = "policy"
    ) -> None:
        """Raise `InvalidRequest` if no panel that judges under `policy` could under its `shadow`.

        Under a tenant's `default` that is the default panel, under any other one that can. `field`
        is the one of the request to change.
        """
        if shadow.judges_as_default:
            return
        if policy.name == DEFAULT.name:
            default = self._found(tenant, self._default_panel)
            missing = None if default is None else uncovered(default, shadow, self._model_of)
            if missing is not None:
                raise _no_shadow(
                    field,
                    policy,
                    shadow,
                    f"no voter on the panel {self._default_panel}, which judges under"
                    f" {policy.name}, can judge its category {missing}",
                )
            return
        names = dict.fromkeys((self._default_panel, *self._names_of(tenant)))
        found = (self._found(tenant, name) for name in names)
        judging = (one for one in found if one and not uncovered(one, policy, self._model_of))
        if all(uncovered(one, shadow, self._model_of) for one in judging):
            raise _no_shadow(
                field,
                policy,
                shadow,
                f"no panel that can judge under {policy.name} has voters for all its categories",
            )

    def _found(self, tenant: str, name: str) -> Panel | None:
        try:
            return self._panel_of(tenant, name)
        except PanelInvalid:
            return None


def _no_shadow(field: str, policy: Policy, shadow: Policy, why: str) -> InvalidRequest:
    message = f"{field}: {shadow.name} could judge nothing as the shadow of {policy.name}: {why}"
    return InvalidRequest(message, code="category_not_covered", field=field)


def _refusal(category: str, why: str) -> InvalidRequest:
    field = f"categories.{category}"
    return InvalidRequest(f"{field}: {why}", code="category_not_covered", field=field)
