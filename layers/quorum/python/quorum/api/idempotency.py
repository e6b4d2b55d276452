"""Idempotency keys: a repeated POST gets the answer of the first."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from aws_lambda_powertools.event_handler import Response, content_types
from aws_lambda_powertools.event_handler.openapi.params import Header
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)

from quorum.api.callers import caller_of
from quorum.aws.clients import LONG, client_config
from quorum.aws.snapshots import after_restore
from quorum.core.errors import Conflict, StoreUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from quorum.aws.keys import Caller

REMEMBERED_SECONDS = 86_400
"""Seconds for which a key is remembered."""
HEADER = "Idempotency-Key"
IN_PROGRESS = "idempotency_key_in_progress"
"""The code of the error about a key whose first request is still being answered."""

IdempotencyKey = Annotated[str | None, Header(alias=HEADER, min_length=1, max_length=128)]
"""The parameter of a route that honours the key."""

Middleware = Callable[["APIGatewayRestResolver", "NextMiddleware"], Response[Any]]


def idempotent(
    table_of: "Callable[[APIGatewayRestResolver], str]", *, shown_once: bool = False
) -> Middleware:
    """Middleware of routes that honour an Idempotency-Key, remembered in a table.

    A key belongs to one request of its tenant: method, address and body, as the body was sent. Keys
    of the API that have settings which shape the answer have Idempotency-Keys of their own.

    `shown_once` is for answers with a secret, and an `id`: the answer is not kept, and a repeated
    request is a `Conflict` that names the id.
    """

    def once(app: "APIGatewayRestResolver", next_middleware: "NextMiddleware") -> Response[Any]:
        event = app.current_event
        key = event.headers.get(HEADER)
        if key is None:
            return next_middleware(app)
        caller = caller_of(event)
        request = f"{event.http_method} {event.path}\n{event.body}"
        asked = {"tenant": caller.tenant, "key": key, "request": request}
        if shaped := _shaping(caller):
            asked["shaped"] = shaped
        first: list[Response[Any]] = []

        def answered() -> dict[str, Any]:
            response = next_middleware(app)
            first.append(response)
            body: Any = response.body
            kept = {"id": body["id"]} if shown_once else body
            return {"status": response.status_code, "body": kept}

        answer = answer_once(table_of(app), asked, answered, context=app.lambda_context)
        if first:
            return first[0]
        if shown_once:
            raise Conflict(
                f"the first request with this Idempotency-Key made {answer['body']['id']}, whose"
                " secret was shown once; rotate that one to have another secret",
                code="shown_once",
                field=HEADER,
            )
        return Response(answer["status"], content_types.APPLICATION_JSON, answer["body"])

    return once


def _shaping(caller: "Caller") -> str:
    """The settings of an API key that shape answers; empty for those of most keys."""
    flags = "review_is_flagged" if caller.review_is_flagged else ""
    return f"{caller.panel or ''} {flags}".strip()


@cache
def _store(table: str, _told_apart_by: str) -> DynamoDBPersistenceLayer:
    """The records in a table; Powertools' store keeps to the names that it was first used with."""
    return DynamoDBPersistenceLayer(
        table_name=table,
        boto_config=client_config(*LONG),
        key_attr="id",
        expiry_attr="expires_at",
        in_progress_expiry_attr="in_progress_until",
        status_attr="status",
        data_attr="answer",
        validation_key_attr="request_hash",
    )


after_restore(_store.cache_clear)


def answer_once(
    table: str,
    asked: dict[str, str],
    do: Callable[[], dict[str, Any]],
    *,
    context: "LambdaContext",
) -> dict[str, Any]:
    """The answer of `do()`, or the first answer if the tenant has sent the key before.

    `asked` has the `tenant`, the `key` and the `request` that the key belongs to, and may have
    `shaped`, by which keys are told apart.

    Raises `Conflict` if the key belongs to another request, or its answer is not ready yet.
    """
    told_apart_by = "[tenant, key, shaped]" if "shaped" in asked else "[tenant, key]"
    config = IdempotencyConfig(
        event_key_jmespath=told_apart_by,
        payload_validation_jmespath="request",
        expires_after_seconds=REMEMBERED_SECONDS,
    )
    # A crashed invocation holds the key no longer than it could have run.
    config.register_lambda_context(context)
    answer_once = idempotent_function(
        lambda asked: do(),  # noqa: ARG005 the library reads it
        data_keyword_argument="asked",
        persistence_store=_store(table, told_apart_by),
        config=config,
        key_prefix="idempotency",
    )
    try:
        answer: dict[str, Any] = answer_once(asked=asked)
    except IdempotencyValidationError as error:
        raise Conflict(
            "this Idempotency-Key was used for another request; use a new key",
            code="idempotency_key_reused",
            field=HEADER,
        ) from error
    except IdempotencyAlreadyInProgressError as error:
        raise Conflict(
            "the first request with this Idempotency-Key is still being answered; retry later",
            code=IN_PROGRESS,
            field=HEADER,
        ) from error
    except IdempotencyPersistenceLayerError as error:
        raise StoreUnavailable("the Idempotency-Key could not be stored") from error
    return answer
