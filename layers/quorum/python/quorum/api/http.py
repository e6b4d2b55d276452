"""What HTTP callers see: the resolver, and one table from errors to answers."""

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from quorum.aws.telemetry import logger
from quorum.core.errors import (
    FAILED,
    QuorumError,
    VoteUnavailable,
)
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aws_lambda_powertools.utilities.typing import LambdaContext

_LIMITS = (
    *("max_length", "min_length", "le", "ge", "lt", "gt", "pattern", "expected"),
    *("decimal_places", "max_digits", "limit"),
)
_BODY = "body"
_PROMPT = "messages"
"""What the prompt is called in a request over HTTP."""
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of a request's body. API Gateway takes 10 MB and a Lambda 6 MB, in which the body is quoted
in JSON once more; larger batches are uploaded."""

PROBLEM_SCHEMA: dict[str, object] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string", "description": "stable, for machines"},
                "message": {"type": "string", "description": "for people; never quotes content"},
                "field": {"type": "string", "description": "what to change"},
                "limit": {"description": "what it may be at most, at least, or must match"},
            },
        }
    },
}
"""The one form of every error."""


def answer(
    body: Any, status: HTTPStatus = HTTPStatus.OK, headers: "Mapping[str, str] | None" = None
) -> Response[Any]:
    """`body` (a model or plain JSON data) as an HTTP answer; money stays an exact string."""
    data = body.model_dump(mode="json") if isinstance(body, Frozen) else body
    return Response(
        status_code=status.value,
        content_type=content_types.APPLICATION_JSON,
        body=data,
        headers=dict(headers or {}),
    )


def answers(model: type[Frozen]) -> dict[int, OpenAPIResponse]:
    """For the API's description: this route answers with a `model`."""
    return {
        HTTPStatus.OK.value: {
            "description": model.__doc__ or model.__name__,
            "content": {content_types.APPLICATION_JSON: {"model": model}},
        }
    }


def resolver() -> APIGatewayRestResolver:
    """A resolver that validates requests and answers every error in one form."""
    app = APIGatewayRestResolver(enable_validation=True)
    app.exception_handler(RequestValidationError)(_unreadable)
    app.exception_handler(RecursionError)(_too_deep)
    app.exception_handler(QuorumError)(_refused)
    app.exception_handler(Exception)(_failed)
    app.not_found(_no_route)
    return app


def resolve(
    app: APIGatewayRestResolver, event: dict[str, Any], context: "LambdaContext"
) -> dict[str, Any]:
    """One HTTP request of API Gateway's proxy integration."""
    if len((event.get("body") or "").encode(errors="replace")) > BODY_LIMIT:
        return _too_large()
    # Every body here is JSON, whatever the client calls it (curl -d calls it a form).
    headers = {
        name: value
        for name, value in (event.get("headers") or {}).items()
        if name.lower() != "content-type"
    }
    headers["content-type"] = content_types.APPLICATION_JSON
    return app.resolve(event | {"headers": headers, "multiValueHeaders": None}, context)


def problem(
    status: HTTPStatus, code: str, message: str, field: str | None = None, limit: Any = None
) -> Response[Any]:
    """The one form of every error: code, message, and what to change where that is known."""
    error: dict[str, Any] = {"code": code, "message": message}
    if field is not None:
        error["field"] = field
    if limit is not None:
        error["limit"] = limit
    return answer({"error": error}, status)


def _unreadable(error: RequestValidationError) -> Response[Any]:
    """The first thing wrong with the request; its input is never repeated."""
    first = error.errors()[0]
    kind = str(first["type"])
    field = ".".join(str(part) for part in first["loc"][1:]) or str(first["loc"][0])
    limit = next((first["ctx"][name] for name in _LIMITS if name in first.get("ctx", {})), None)
    if kind.startswith("json"):
        return problem(HTTPStatus.BAD_REQUEST, "invalid_json", "the body is not JSON", _BODY)
    code = "unknown_field" if kind == "extra_forbidden" else f"invalid_{field.split('.')[0]}"
    message = str(first["msg"]).removeprefix("Value error, ")
    return problem(HTTPStatus.BAD_REQUEST, code, f"{field}: {message}", field, limit)


def _too_large() -> dict[str, Any]:
    # Said before the resolver parses it, so in the form of API Gateway itself.
    message = f"the body is over {BODY_LIMIT} bytes; upload larger batches"
    error = {"code": "body_too_large", "message": message, "field": _BODY, "limit": BODY_LIMIT}
    return {
        "statusCode": HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value,
        "multiValueHeaders": {"Content-Type": [content_types.APPLICATION_JSON]},
        "body": json.dumps({"error": error}),
        "isBase64Encoded": False,
    }


def _too_deep(_error: RecursionError) -> Response[Any]:
    """Only a body nested thousands of levels deep gets the JSON reader here."""
    return problem(HTTPStatus.BAD_REQUEST, "invalid_json", "the body is nested too deeply", _BODY)


def _refused(error: QuorumError) -> Response[Any]:
    """What the error says of itself; what was paid for it all the same is booked."""
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request refused", extra={"code": error.code, "why": str(error)})
    field = _PROMPT if isinstance(error, VoteUnavailable) and error.field else error.field
    refused = problem(HTTPStatus(error.http_status), error.code, error.told, field, error.limit)
    if error.retry_after_seconds is not None:
        refused.headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    return refused


def _failed(error: Exception) -> Response[Any]:
    # The message may quote content, so only the kind of error is logged.
    logger.error("request failed", extra={"error": type(error).__name__})
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, QuorumError.code, FAILED)


def _no_route(_error: NotFoundError) -> Response[Any]:
    return problem(HTTPStatus.NOT_FOUND, "no_such_route", "there is nothing at this address")
