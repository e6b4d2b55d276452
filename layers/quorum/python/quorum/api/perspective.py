"""The form of the Perspective API's errors, for routes whose callers use its clients. Pure.

Format: `google.rpc.Status` in JSON, with the detail `google.commentanalyzer.v1alpha1.Error` that
names the error's type (conversationai/perspectiveapi, `2-api/methods.md`, "Error types").
"""

from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import Field

from quorum.core.errors import InvalidRequest, NotAllowed, RequestRejected
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quorum.api.problems import Problem

_STATUSES: "Mapping[int, str]" = MappingProxyType(
    {
        HTTPStatus.BAD_REQUEST: "INVALID_ARGUMENT",
        HTTPStatus.UNAUTHORIZED: "UNAUTHENTICATED",
        HTTPStatus.PAYMENT_REQUIRED: "RESOURCE_EXHAUSTED",
        HTTPStatus.FORBIDDEN: "PERMISSION_DENIED",
        HTTPStatus.NOT_FOUND: "NOT_FOUND",
        HTTPStatus.CONFLICT: "ABORTED",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "INVALID_ARGUMENT",
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "INVALID_ARGUMENT",
        HTTPStatus.TOO_MANY_REQUESTS: "RESOURCE_EXHAUSTED",
        HTTPStatus.INTERNAL_SERVER_ERROR: "INTERNAL",
        HTTPStatus.BAD_GATEWAY: "UNAVAILABLE",
        HTTPStatus.SERVICE_UNAVAILABLE: "UNAVAILABLE",
        HTTPStatus.GATEWAY_TIMEOUT: "DEADLINE_EXCEEDED",
    }
)
"""The name of google.rpc.Code for a status."""
_ERROR = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"
_LANGUAGE = "language_not_supported_by_attribute"
_TYPES: "Mapping[str, str]" = MappingProxyType(
    {
        code: code.upper()
        for code in (
            *("comment_empty", "comment_too_long", "language_detection_failed"),
            *("no_requested_attributes", _LANGUAGE),
        )
    }
)
"""Perspective's type of an error by our code; any other error of the request is of one type."""
_NOT_THE_REQUESTS = frozenset({"invalid_api_key"})
"""Codes of a 400 that is not about the request's body."""
_NO_KEY = (
    "Method doesn't allow unregistered callers (callers without established identity). Please use "
    "API Key or other form of API consumer identity to call this API."
)


class GoogleErrorDetail(Frozen):
    """An error; `details` has its type, and the field to change."""

    code: int
    message: str
    status: str
    details: tuple[dict[str, Any], ...] = Field(default=())


class GoogleError(Frozen):
    """An error in the form of Google's APIs."""

    error: GoogleErrorDetail


def refusal_of_key(refused: str) -> RequestRejected:
    """The error with which Google refuses a key that is `missing` or unknown."""
    if refused == "missing":
        return NotAllowed(_NO_KEY, code="no_api_key")
    return InvalidRequest("API key not valid. Please pass a valid API key.", code="invalid_api_key")


def error_of(problem: "Problem", status: int) -> GoogleError:
    """`problem`, answered with `status`, in that form; the message has field and limit."""
    told = problem.error
    message = told.message
    if isinstance(told.limit, int) and str(told.limit) not in message:
        message = f"{message} (limit: {told.limit})"
    return GoogleError(
        error=GoogleErrorDetail(
            code=status,
            message=message,
            status=_STATUSES.get(status, "UNKNOWN"),
            details=tuple(_details(problem, status, message)),
        )
    )


def _details(problem: "Problem", status: int, message: str) -> "list[dict[str, Any]]":
    told = problem.error
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return [{"@type": _ERROR_INFO, "reason": "RATE_LIMIT_EXCEEDED"}]
    if status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
        return []
    if told.code in _NOT_THE_REQUESTS:
        return []
    own: dict[str, Any] = {"@type": _ERROR, "errorType": _TYPES.get(told.code, "INVALID_REQUEST")}
    if told.code == _LANGUAGE:
        attribute = (told.field or "").rpartition(".")[-1]
        own["languageNotSupportedByAttributeError"] = {"attribute": attribute, **told.limit}
    if told.field is None:
        return [own]
    violation = {"field": told.field, "description": message}
    return [own, {"@type": _BAD_REQUEST, "fieldViolations": [violation]}]
