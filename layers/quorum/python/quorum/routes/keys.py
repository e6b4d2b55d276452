"""Routes about keys: a tenant's operator issues, lists, rotates and revokes the tenant's keys.

A key gives no more than it has: neither a scope that its caller does not have, nor the role of the
deployment's operator, whose keys are issued on the command line.
"""

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Self

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path
from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from quorum.api.callers import Calling, require_deployment_operator
from quorum.api.http import new_router
from quorum.api.idempotency import IdempotencyKey
from quorum.api.problems import gives
from quorum.audit.chain import Action
from quorum.audit.key_changes import recorded
from quorum.aws.keys import (
    ID_DIGITS,
    OVERLAP_HOURS,
    Caller,
    KeyUse,
    Origin,
    PanelName,
    StoredKey,
)
from quorum.aws.telemetry import logger
from quorum.core.errors import Conflict, InvalidRequest, NotFound, TooLarge
from quorum.core.fields import not_blank, one_line
from quorum.core.json_types import WHOLE_NUMBER, Moment, TrueOrFalse
from quorum.core.models import Frozen
from quorum.core.scopes import OPERATOR_SCOPES, Role, Scope, least_role, require_all
from quorum.routes.parameters import App, once_with_secret, who

if TYPE_CHECKING:
    from quorum.app.api import ApiContainer

router = new_router()

KEY_ID = rf"[0-9a-f]{{{ID_DIGITS}}}"
"""The id of a key, as a regular expression."""
KeyId = Annotated[str, Path(pattern=f"^{KEY_ID}$")]


class KeyRequest(Frozen):
    """A new key: its name, what it may do, until when and how often.

    `panel` judges where a request of the key names none. `allowed_origin` is the website whose
    pages may send it; such a key can be read by everybody who opens the page, so it has neither
    `review` nor `operate`.
    """

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=64),
        AfterValidator(not_blank),
        AfterValidator(one_line),
    ]
    scopes: tuple[Scope, ...] = Field(min_length=1, max_length=12)
    expires_at: Moment | None = None
    requests_per_minute: Annotated[int, Field(ge=1, le=60_000), WHOLE_NUMBER] | None = None
    requests_per_month: Annotated[int, Field(ge=1, le=1_000_000_000), WHOLE_NUMBER] | None = None
    allowed_origin: Origin | None = None
    review_is_flagged: TrueOrFalse = False
    drop_unsupported_attributes: TrueOrFalse = False
    panel: PanelName | None = None

    @model_validator(mode="after")
    def _closed(self) -> Self:
        if self.allowed_origin is not None and set(self.scopes) & set(OPERATOR_SCOPES):
            raise PydanticCustomError(
                "open_to_all",
                "a key with review or operate cannot have one",
                {"field": "allowed_origin"},
            )
        return self

    def caller(self, tenant: str) -> Caller:
        """The rights of the new key."""
        named = self.model_dump(exclude={"expires_at"})
        return Caller(tenant=tenant, role=least_role(self.scopes), **named)


class RotateRequest(Frozen):
    """The hours for which the old key still works beside the new one; 0 ends it at once."""

    overlap_hours: Annotated[int, Field(ge=0, le=OVERLAP_HOURS), WHOLE_NUMBER] = 0


_AT_ONCE = RotateRequest()


class KeyView(Frozen):
    """A key without the key: `prefix` is its beginning, `id` its name.

    `last_used_at` may be ten minutes behind. Requests of the month are counted for keys with a
    limit. `replaced_by` is the id of the key beside which this one still works until it expires.
    """

    id: str
    prefix: str
    name: str
    role: Role
    scopes: tuple[Scope, ...]
    review_is_flagged: bool
    drop_unsupported_attributes: bool
    panel: str | None
    allowed_origin: str | None
    requests_per_minute: int | None
    requests_per_month: int | None
    requests_this_month: int
    issued_at: datetime | None
    expires_at: datetime | None
    replaced_by: str | None
    last_used_at: datetime | None


class NewKey(KeyView):
    """A key that was issued; `key` is shown this once, because only its hash is stored."""

    key: str


class KeyList(Frozen):
    """The keys of a tenant, the oldest first."""

    keys: tuple[KeyView, ...]


@router.get("/keys", summary="List the tenant's keys", **gives(KeyList))
def get_keys(app: App, caller: Calling) -> KeyList:
    """The keys without the keys themselves, expired ones too. For operators."""
    keys = app.keys.of_tenant(caller.tenant)
    use = app.keys.use_of(keys)
    return KeyList(keys=tuple(_view(key, use[key.key_hash]) for key in keys))


@router.post(
    "/keys",
    summary="Issue a key",
    middlewares=[once_with_secret],
    **gives(NewKey, Conflict, TooLarge, status=HTTPStatus.CREATED),
)
def post_key(
    request: KeyRequest,
    app: App,
    caller: Calling,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 the middleware reads it
) -> Response[NewKey]:
    """The new key, shown once. It has no scope that the caller's key does not have.

    Repeated with its Idempotency-Key, the request issues no second key, and is refused with the id
    of the first. For operators.
    """
    return _shown_once(issued(request, app, caller))


@router.delete("/keys/<key_id>", summary="Revoke a key", **gives(KeyView, NotFound))
def delete_key(key_id: KeyId, app: App, caller: Calling) -> KeyView:
    """The key that was revoked: the next request with it is refused.

    So is the next message of a chat that it opened. For operators.
    """
    key = _found(app, caller, key_id)
    use = app.keys.use_of([key])[key.key_hash]
    writer = recorded(app.audit, caller.tenant, who(caller), Action.KEY_REVOKED, key)
    app.keys.revoke(key.key_hash, writer=writer)
    logger.info("key revoked", extra={"tenant": caller.tenant, "key_id": key.id})
    return _view(key, use)


@router.post(
    "/keys/<key_id>/rotate",
    summary="Replace a key",
    middlewares=[once_with_secret],
    **gives(NewKey, Conflict, NotFound, TooLarge, status=HTTPStatus.CREATED),
)
def post_rotation(
    key_id: KeyId,
    app: App,
    caller: Calling,
    request: Annotated[RotateRequest, Body()] = _AT_ONCE,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 the middleware reads it
) -> Response[NewKey]:
    """A new key with the rights, the limits and the expiry of the old one.

    The old one ends at once, also without a body, or after `overlap_hours`. Repeated with its
    Idempotency-Key, the request makes no second key. For operators.
    """
    return _shown_once(rotated(key_id, request, app, caller))


def _found(app: "ApiContainer", caller: Caller, key_id: str) -> StoredKey:
    """The key of the caller's tenant; one of the deployment's operator is left to its like."""
    key = app.keys.named(caller.tenant, key_id)
    if key.role == "deployment_operator":
        require_deployment_operator(caller)
    return key


def issued(request: KeyRequest, app: "ApiContainer", caller: Caller) -> NewKey:
    """Issue a key; raises `InvalidRequest`, `NotAllowed`, `NotFound` and `TooLarge`."""
    if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
        raise InvalidRequest(
            "expires_at: must be in the future", code="invalid_expires_at", field="expires_at"
        )
    require_all(caller.effective_scopes, request.scopes)
    if request.panel is not None:
        app.panels.get(caller.tenant, request.panel)  # an unknown one is refused
    key, stored = app.keys.issue_within_limit(
        request.caller(caller.tenant),
        request.expires_at,
        writer=recorded(app.audit, caller.tenant, who(caller), Action.KEY_ISSUED),
    )
    logger.info("key issued", extra={"tenant": caller.tenant, "key_id": stored.id})
    return NewKey(**dict(_view(stored, KeyUse())), key=key)


def rotated(key_id: str, request: RotateRequest, app: "ApiContainer", caller: Caller) -> NewKey:
    """Replace a key; raises `Conflict`, `NotAllowed`, `NotFound` and `TooLarge`."""
    old = _found(app, caller, key_id)
    require_all(caller.effective_scopes, old.effective_scopes)
    writer = recorded(app.audit, caller.tenant, who(caller), Action.KEY_CHANGED, old)
    overlap = timedelta(hours=request.overlap_hours)
    key, stored = app.keys.rotate(old, overlap=overlap, writer=writer)
    logger.info("key rotated", extra={"tenant": caller.tenant, "key_id": stored.id})
    use = app.keys.use_of([stored])[stored.key_hash]
    return NewKey(**dict(_view(stored, use)), key=key)


def _shown_once(key: NewKey) -> Response[NewKey]:
    """The answer, which holds a secret."""
    kept_nowhere = {"Cache-Control": "no-store"}
    return Response(HTTPStatus.CREATED.value, "application/json", key, headers=kept_nowhere)


def _view(key: StoredKey, use: KeyUse) -> KeyView:
    return KeyView(
        id=key.id,
        prefix=key.prefix,
        name=key.name,
        role=key.role,
        scopes=key.effective_scopes,
        review_is_flagged=key.review_is_flagged,
        drop_unsupported_attributes=key.drop_unsupported_attributes,
        panel=key.panel,
        allowed_origin=key.allowed_origin,
        requests_per_minute=key.requests_per_minute,
        requests_per_month=key.requests_per_month,
        requests_this_month=use.requests_this_month,
        issued_at=key.issued_at,
        expires_at=key.expires_at,
        replaced_by=key.replaced_by,
        last_used_at=use.last_used_at,
    )
