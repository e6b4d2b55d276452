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
from quorum.core.errors import Conflict, StoreUnavailable

if TYPE_CHECKING:
    from aws_lambda_powertools.event_handler import APIGatewayRestResolver
    from aws_lambda_powertools.event_handler.middlewares import NextMiddleware
    from aws_lambda_powertools.utilities.typing import LambdaContext

REMEMBERED_SECONDS = 86_400
"""Seconds for which a key is remembered."""
HEADER = "Idempotency-Key"
IN_PROGRESS = "idempotency_key_in_progress"
"""The code of the error about a key whose first request is still being answered."""

IdempotencyKey = Annotated[str | None, Header(alias=HEADER, min_length=1, max_length=128)]
"""The parameter of a route that honours the key."""

Middleware = Callable[["APIGatewayRestResolver", "NextMiddleware"], Response[Any]]


def idempotent(table_of: "Callable[[APIGatewayRestResolver], str]") -> Middleware:
    """Middleware of routes that honour an Idempotency-Key, remembered in a table.

    A key belongs to one request of its tenant: method, address and body, as the body was sent.
    """

    def once(app: "APIGatewayRestResolver", next_middleware: "NextMiddleware") -> Response[Any]:
        event = app.current_event
        key = event.headers.get(HEADER)
        if key is None:
            return next_middleware(app)
        request = f"{event.http_method} {event.path}\n{event.body}"
        asked = {"tenant": caller_of(event).tenant, "key": key, "request": request}

        def answered() -> dict[str, Any]:
            response = next_middleware(app)
            return {"status": response.status_code, "body": response.body}

        answer = answer_once(table_of(app), asked, answered, context=app.lambda_context)
        return Response(answer["status"], content_types.APPLICATION_JSON, answer["body"])

    return once


@cache
def _store(table: str) -> DynamoDBPersistenceLayer:
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


def answer_once(
    table: str,
    asked: dict[str, str],
    do: Callable[[], dict[str, Any]],
    *,
    context: "LambdaContext",
) -> dict[str, Any]:
    """The answer of `do()`, or the first answer if the tenant has sent the key before.

    `asked` has the `tenant`, the `key` and the `request` that the key belongs to.

    Raises `Conflict` if the key belongs to another request, or its answer is not ready yet.
    """
    config = IdempotencyConfig(
        event_key_jmespath="[tenant, key]",
        payload_validation_jmespath="request",
        expires_after_seconds=REMEMBERED_SECONDS,
    )
    # A crashed invocation holds the key no longer than it could have run.
    config.register_lambda_context(context)
    answer_once = idempotent_function(
        lambda asked: do(),  # noqa: ARG005 the library reads it
        data_keyword_argument="asked",
        persistence_store=_store(table),
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
