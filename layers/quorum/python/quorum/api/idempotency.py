"""One Idempotency-Key, one answer: a repeated POST is answered with the first one's answer."""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

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

from quorum.aws.clients import client_config
from quorum.core.errors import Conflict, StoreUnavailable
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

REMEMBERED_SECONDS = 86_400
"""How long a key is remembered."""


@cache
def _store(table: str) -> DynamoDBPersistenceLayer:
    return DynamoDBPersistenceLayer(
        table_name=table,
        boto_config=client_config(),
        key_attr="id",
        expiry_attr="expires_at",
        in_progress_expiry_attr="in_progress_until",
        status_attr="status",
        data_attr="answer",
        validation_key_attr="request_hash",
    )


def once(
    table: str,
    tenant: str,
    key: str | None,
    request: Frozen,
    do: Callable[[], dict[str, Any]],
    *,
    context: "LambdaContext",
) -> dict[str, Any]:
    """`do()`, or what it answered when `tenant` first sent `key`.

    Raises `Conflict` if the key came with another request before, or is being answered right now.
    """
    if key is None:
        return do()

    config = IdempotencyConfig(
        event_key_jmespath="[tenant, key]",
        payload_validation_jmespath="request",
        expires_after_seconds=REMEMBERED_SECONDS,
    )
    # An invocation that dies holds the key no longer than it could have lived.
    config.register_lambda_context(context)
    answer_once = idempotent_function(
        lambda asked: do(),  # noqa: ARG005 the library reads it
        data_keyword_argument="asked",
        persistence_store=_store(table),
        config=config,
        key_prefix="idempotency",
    )
    try:
        answer: dict[str, Any] = answer_once(
            asked={"tenant": tenant, "key": key, "request": request.model_dump(mode="json")}
        )
    except IdempotencyValidationError as error:
        raise Conflict(
            "this Idempotency-Key came with another request before",
            code="idempotency_key_reused",
            field="Idempotency-Key",
        ) from error
    except IdempotencyAlreadyInProgressError as error:
        raise Conflict(
            "the first request with this Idempotency-Key is still being answered",
            code="idempotency_key_in_progress",
            field="Idempotency-Key",
        ) from error
    except IdempotencyPersistenceLayerError as error:
        raise StoreUnavailable("the Idempotency-Key could not be stored") from error
    return answer
