"""The form of the OpenAI API's errors, for routes whose callers use its clients. Pure.

Format: the OpenAI API reference, schema `ErrorResponse`: `message`, `type`, `param` and `code`.
"""

from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING

from quorum.core.errors import PanelInvalid
from quorum.core.models import Frozen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from quorum.api.problems import Problem

_TYPES: "Mapping[int, str]" = MappingProxyType(
    {
        HTTPStatus.PAYMENT_REQUIRED: "insufficient_quota",
        HTTPStatus.FORBIDDEN: "permission_error",
        HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
    }
)
"""The type of an error by its status, where it is neither the request's nor the server's."""
_PARAMETERS = MappingProxyType({PanelInvalid.code: "model"})
"""The field by the code of an error, where OpenAI's form calls it otherwise."""


class OpenAIErrorDetail(Frozen):
    """An error: `param` is the field to change, `code` is for programs, `message` for people."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIError(Frozen):
    """An error in the form of the OpenAI API."""

    error: OpenAIErrorDetail


def error_of(problem: "Problem", status: int) -> OpenAIError:
    """`problem`, answered with `status`, in that form; the message has the limit."""
    told = problem.error
    otherwise = (
        "server_error" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "invalid_request_error"
    )
    message = told.message
    if told.limit is not None and str(told.limit) not in message:
        message = f"{message} (limit: {told.limit})"
    return OpenAIError(
        error=OpenAIErrorDetail(
            message=message,
            type=_TYPES.get(status, otherwise),
            param=None if told.field == "body" else _PARAMETERS.get(told.code, told.field),
            code=told.code,
        )
    )
