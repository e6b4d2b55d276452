"""What a key may do: its role, and its scopes within that role. Pure."""

from collections.abc import Iterable
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, get_args

from quorum.core.errors import NotAllowed

if TYPE_CHECKING:
    from collections.abc import Mapping

Role = Literal["member", "operator", "deployment_operator"]
"""A member moderates; an operator also reviews and manages what belongs to the tenant; the
deployment's operator also sees every tenant's costs, and puts models."""
Scope = Literal["moderate", "batch", "chat", "documents", "review", "operate"]
"""A part of the API that a key may use."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
MEMBER_SCOPES: tuple[Scope, ...] = ("moderate", "batch", "chat", "documents")
CHAT_SCOPES: tuple[Scope, ...] = ("chat",)
"""The scopes of which a message to the chat's WebSocket needs one."""
OPERATOR_SCOPES: tuple[Scope, ...] = ("review", "operate")
"""The scopes that a member's key cannot have."""
SCOPES_OF: "Mapping[Role, tuple[Scope, ...]]" = MappingProxyType(
    {"member": MEMBER_SCOPES, "operator": SCOPES, "deployment_operator": SCOPES}
)
"""The scopes of each role: what a key of that role may do if it names none of its own."""


def in_order(scopes: Iterable[Scope]) -> tuple[Scope, ...]:
    """Each of `scopes` once, in the order of `SCOPES`."""
    chosen = set(scopes)
    return tuple(scope for scope in SCOPES if scope in chosen)


def least_role(scopes: Iterable[str]) -> Role:
    """The role with the fewest rights that has all of `scopes`."""
    return "member" if set(scopes) <= set(MEMBER_SCOPES) else "operator"


def require_one(held: Iterable[Scope], needed: tuple[Scope, ...]) -> None:
    """Raise `NotAllowed` if none of the `needed` scopes is `held`; the message names them."""
    if set(held) & set(needed):
        return
    named = " or ".join(needed)
    raise NotAllowed(
        f"this request needs a key with the scope {named}", code="scope_missing", limit=named
    )


def require_all(held: Iterable[Scope], granted: Iterable[Scope]) -> None:
    """Raise `NotAllowed` if a key that holds `held` gives away more than it has."""
    missing = in_order(set(granted) - set(held))
    if missing:
        named = " and ".join(missing)
        raise NotAllowed(
            f"this key does not have the scope {named}, so it cannot give it to another key",
            code="scope_missing",
            field="scopes",
            limit=named,
        )
