"""Roles and scopes of keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from quorum.aws.keys import Caller
from quorum.core.errors import NotAllowed
from quorum.core.scopes import (
    SCOPES,
    SCOPES_OF,
    Scope,
    in_order,
    least_role,
    require_all,
    require_one,
)

some = st.lists(st.sampled_from(SCOPES), min_size=1)


@given(some)
def test_the_least_role_has_the_scopes_and_no_lesser_one_has(scopes: list[Scope]) -> None:
    role = least_role(scopes)
    assert set(scopes) <= set(SCOPES_OF[role])
    assert role == "member" or not set(scopes) <= set(SCOPES_OF["member"])
    assert role != "deployment_operator"


@given(some, some)
def test_one_scope_of_those_needed_is_enough_and_a_refusal_names_all_of_them(
    held: list[Scope], needed: list[Scope]
) -> None:
    if set(held) & set(needed):
        require_one(held, tuple(needed))
        return
    with pytest.raises(NotAllowed) as refused:
        require_one(held, tuple(needed))
    assert all(scope in refused.value.message for scope in needed)


@given(some, some)
def test_nobody_gives_what_they_have_not(held: list[Scope], given_: list[Scope]) -> None:
    missing = set(given_) - set(held)
    if not missing:
        require_all(held, given_)
        return
    with pytest.raises(NotAllowed) as refused:
        require_all(held, given_)
    assert str(refused.value.limit).split(" and ") == list(in_order(missing))


@given(some)
def test_a_caller_is_handed_on_by_the_authorizer_as_it_is(scopes: list[Scope]) -> None:
    caller = Caller(
        tenant="acme",
        role="operator",
        scopes=tuple(scopes),
        requests_per_minute=60,
        review_is_flagged=True,
        drop_unsupported_attributes=True,
    )
    # API Gateway makes text of every value.
    as_text = {name: str(value) for name, value in caller.context().items()}
    assert Caller.given(as_text | {"principalId": "acme", "key_hash": "00"}) == caller


def test_a_member_has_no_scope_of_operators() -> None:
    with pytest.raises(ValidationError, match="review need the role operator"):
        Caller(tenant="acme", scopes=("moderate", "review"))
