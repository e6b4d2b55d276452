"""The tree of errors.

::

    QuorumError
    ├── RequestRefused          any other 4xx: the request must change
    │   ├── Unauthorized        401: no key, or an unknown one
    │   ├── BudgetSpent         402: `limit` says when it resets
    │   ├── Forbidden           403: the key may not do this
    │   ├── NotFound            404
    │   ├── Conflict            409, 412: `retryable` while the same request is being answered
    │   └── TooManyRequests     429: retryable
    ├── ServiceUnavailable      5xx: retryable
    ├── ConnectionFailed        no answer came: retryable
    │   └── TimedOut            … in time
    ├── AnswerUnreadable        the answer is not Quorum's: is the URL right?
    └── StreamCut               a chat's answer ended before its end
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import httpx

_IN_PROGRESS = "idempotency_key_in_progress"


class QuorumError(Exception):
    """The root of the tree: the deployment's own words, or what happened to the connection.

    `code` is stable and for programs; `message` is for people and never quotes content; `field` is
    the field to change and `limit` its limit, where they are known; `status` is that of the answer,
    None without one. `retryable` says that the same request may succeed in a moment: the client has
    then sent it again already where it may be repeated. `retry_after_seconds` is what the
    deployment asked for. `told` is the error in the answer as it came, empty without one.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "failed",
        field: str | None = None,
        limit: Any = None,
        status: int | None = None,
        retryable: bool = False,
        retry_after_seconds: float | None = None,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.limit = limit
        self.status = status
        self.retryable = retryable
        self.retry_after_seconds = retry_after_seconds
        self.told = told


class RequestRefused(QuorumError):
    """The request cannot be served as it is."""


class Unauthorized(RequestRefused):
    """There is no key, or it is unknown."""


class BudgetSpent(RequestRefused):
    """The deployment's budget is used up; `limit` says when it resets."""


class Forbidden(RequestRefused):
    """The key is known but may not do this."""


class NotFound(RequestRefused):
    """There is no such thing, or it belongs to another tenant."""


class Conflict(RequestRefused):
    """The request contradicts another one, or the state of what it changes."""


class TooManyRequests(RequestRefused):
    """There are more requests than the deployment accepts."""


class ServiceUnavailable(QuorumError):
    """The deployment could not serve the request; the same one may succeed later."""


class ConnectionFailed(QuorumError):
    """No answer came. `begun` is false if the request surely never reached the deployment."""

    begun = True


class TimedOut(ConnectionFailed):
    """No answer came in time."""


class AnswerUnreadable(QuorumError):
    """The answer does not have Quorum's form: the URL may be another service's."""


class StreamCut(QuorumError):
    """A chat's answer ended before its end; `received` is the text until then."""

    received: str = ""


_BY_STATUS: Mapping[int, type[RequestRefused]] = {
    401: Unauthorized,
    402: BudgetSpent,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}
_REQUEST_TIMEOUT = 408


def error_of(answer: httpx.Response) -> QuorumError | None:
    """The error that an answer is, whose body has been read; None for a success."""
    status = answer.status_code
    if answer.is_success:
        return None
    told = _problem(answer)
    message = str(told.get("message") or f"the deployment answered {status}")
    code = str(told.get("code") or f"http_{status}")
    if not answer.is_error:
        return AnswerUnreadable(message, code=code, status=status)
    kind = ServiceUnavailable if answer.is_server_error else _BY_STATUS.get(status, RequestRefused)
    passes = kind in {ServiceUnavailable, TooManyRequests} or status == _REQUEST_TIMEOUT
    return kind(
        message,
        code=code,
        field=told.get("field"),
        limit=told.get("limit"),
        status=status,
        retryable=passes or code == _IN_PROGRESS,
        retry_after_seconds=_seconds(answer.headers.get("retry-after")),
        told=told,
    )


def error_of_request(error: httpx.RequestError | httpx.InvalidURL) -> QuorumError:
    """The error that a request is to which no readable answer came."""
    if isinstance(error, httpx.InvalidURL):
        return RequestRefused(f"the URL is malformed: {error}", code="invalid_url")
    if isinstance(error, httpx.TransportError):
        return error_of_connection(error)
    return AnswerUnreadable(f"the answer cannot be read: {error}", code="not_quorum")


def error_of_connection(error: httpx.TransportError) -> ConnectionFailed:
    """The error that a failed connection is."""
    kind = TimedOut if isinstance(error, httpx.TimeoutException) else ConnectionFailed
    said = "did not answer in time" if kind is TimedOut else "cannot be reached"
    lost = kind(
        f"the deployment {said}: {error or type(error).__name__}",
        code="timed_out" if kind is TimedOut else "connection_failed",
        retryable=not isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError),
    )
    never = httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout
    lost.begun = not isinstance(error, never)
    return lost


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    """The body's error; a refusal by API Gateway itself has only a message."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return {}
    if not isinstance(body, dict):
        return {}
    error = body.get("error")
    if isinstance(error, dict):
        return error
    return {"message": body.get("message") or body.get("Message")}


def _seconds(header: str | None) -> float | None:
    """The seconds of a Retry-After; Quorum sends no dates."""
    try:
        seconds = float(header or "")
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
