"""The HTTP form of the API: the resolver, and one table from errors to answers."""

import json
import math
from functools import partial
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response, content_types
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from aws_lambda_powertools.event_handler.router import APIGatewayRouter

from quorum.api.admission import RETRY_AFTER, Admission
from quorum.api.problems import Problem, ProblemDetail
from quorum.api.query import only_known, repeated
from quorum.aws.telemetry import logger
from quorum.core.errors import FAILED, InvalidRequest, QuorumError, VoteUnavailable
from quorum.core.json_names import NameRepeated, unrepeated
from quorum.core.lenient_json import strict_form
from quorum.core.models import Frozen
from quorum.core.rejection import name_repeated, rejection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from aws_lambda_powertools.event_handler.api_gateway import Router
    from aws_lambda_powertools.utilities.typing import LambdaContext

    ErrorForm = Callable[[Problem, int], Frozen]
    """A problem and its status, in another form."""

_BODY = "body"
_PROMPT = "messages"
"""Name of the prompt's field in a request over HTTP."""
BODY_LIMIT = 4 * 1024 * 1024
"""Bytes of a request's body. API Gateway takes 10 MB and a Lambda 6 MB, in which the body is
escaped as JSON; larger batches are uploaded."""
_SMALLER = MappingProxyType(
    {
        **dict.fromkeys(("/batches", "/documents"), "upload larger ones (POST /batches/uploads)"),
        "/documents/estimate": "name uploads, or send fewer documents in one request",
        "/moderations": "send fewer texts in one request",
        "/v1alpha1/comments:analyze": "send a shorter text or context",
        "/v1alpha1/comments:suggestscore": "send a shorter text or context",
    }
)
"""What to do about a body that is too large, by route."""
_DIGITS_LIMIT = 4_000
"""Digits of a whole number: Python reads 4,300, in time that grows with their square."""


def answer(
    body: Frozen, status: HTTPStatus = HTTPStatus.OK, headers: "Mapping[str, str] | None" = None
) -> Response[Any]:
    """`body` as an HTTP answer, validated already; money stays an exact string."""
    return Response(
        status_code=status.value,
        content_type=content_types.APPLICATION_JSON,
        body=body.model_dump(mode="json"),
        headers=dict(headers or {}),
    )


def new_router() -> APIGatewayRouter:
    """A router for the routes of one subject."""
    return APIGatewayRouter()  # type: ignore[no-untyped-call] # it declares no type


def resolver(
    *routers: "Router",
    ignored_parameters: "Mapping[str, frozenset[str]]" = MappingProxyType({}),
    lenient_routes: "Collection[str]" = (),
) -> APIGatewayRestResolver:
    """A resolver of the routers' routes that answers every error in one form.

    Requests and answers are validated; an answer that does not fit its description is our error.
    A query parameter that a route does not have is refused, but for its `ignored_parameters`.
    `lenient_routes` also read JSON as people write it by hand.
    """

    def read(body: str) -> dict[str, Any]:
        return _read(body, leniently=app.current_event.get("resource") in lenient_routes)

    app = APIGatewayRestResolver(
        enable_validation=True,
        response_validation_error_http_code=HTTPStatus.INTERNAL_SERVER_ERROR,
        json_body_deserializer=read,
    )
    app.use(middlewares=[only_known(ignored_parameters)])
    for router in routers:
        app.include_router(router)
    app.exception_handler(RequestValidationError)(partial(_unreadable, app))
    app.exception_handler(RecursionError)(_too_deep)
    app.exception_handler(UnicodeDecodeError)(_not_unicode)
    app.exception_handler(QuorumError)(_refused)
    app.exception_handler(Exception)(_failed)
    app.not_found(_no_route)
    return app


def resolve(
    app: APIGatewayRestResolver,
    event: dict[str, Any],
    context: "LambdaContext",
    container: "Callable[[], Any]",
    error_forms: "Mapping[str, ErrorForm]" = MappingProxyType({}),
) -> dict[str, Any]:
    """Handle one request of API Gateway's proxy integration; routes get `container`'s result.

    A request that its key may not send is not read.

    `error_forms` has the forms of errors, by route, of those whose callers read another than ours.
    """
    admission = Admission(event)
    answer = _resolved(app, event, context, container, admission)
    answer["multiValueHeaders"] |= {name: [told] for name, told in admission.headers.items()}
    form = error_forms.get(str(event.get("resource")))
    if form is None or answer["statusCode"] < HTTPStatus.BAD_REQUEST:
        return answer
    told = form(Problem.model_validate_json(answer["body"]), answer["statusCode"])
    return answer | {"body": told.model_dump_json()}


def _resolved(
    app: APIGatewayRestResolver,
    event: dict[str, Any],
    context: "LambdaContext",
    container: "Callable[[], Any]",
    admission: Admission,
) -> dict[str, Any]:
    """The answer, its errors in our form."""
    try:
        admission.check(lambda: container().key_limits)
    except QuorumError as error:
        return _unrouted(*_told(error))
    if len((event.get("body") or "").encode(errors="replace")) > BODY_LIMIT:
        way_out = _SMALLER.get(str(event.get("resource")), "send less in one request")
        message = f"the body is larger than {BODY_LIMIT} bytes; {way_out}"
        too_large = _problem("body_too_large", message, _BODY, BODY_LIMIT)
        return _unrouted(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, too_large, {})
    path = _path(event)
    if not path.isprintable():
        return _unrouted(HTTPStatus.NOT_FOUND, _NO_ROUTE, {})
    # Every body is JSON, whatever its content type says (curl -d says that it is a form).
    headers = {
        name: value
        for name, value in (event.get("headers") or {}).items()
        if name.lower() != "content-type"
    }
    headers["content-type"] = content_types.APPLICATION_JSON
    app.append_context(container=container)  # type: ignore[no-untyped-call] # it declares no type
    read: dict[str, Any] = {"path": path, "headers": headers, "multiValueHeaders": None}
    # What is wrong with no body is that fields are missing, if any are. A PUT replaces what there
    # is, and never by accident.
    if not event.get("body") and event["httpMethod"] == "POST":
        read |= {"body": "{}", "isBase64Encoded": False}
    return app.resolve(event | read, context)


def _path(event: "Mapping[str, Any]") -> str:
    """The path of a request, without what a domain of one's own has before it.

    At API Gateway's own address the stage is no part of `path`. Under another domain all that its
    mapping puts before the API's paths is; what is too much at the front is that.
    """
    path = str(event["path"])
    if path != (event.get("requestContext") or {}).get("path"):
        return path
    resource = str(event.get("resource", ""))
    too_many = path.count("/") - resource.count("/")
    return "/" + "/".join(path.split("/")[1 + too_many :]) if too_many > 0 else path


def _read(body: str, *, leniently: bool = False) -> dict[str, Any]:
    """The body as JSON; raises `InvalidRequest` where it is no object or an object repeats a name.

    What is strict JSON is read as such, `leniently` or not.
    """
    try:
        read = _json(body)
    except json.JSONDecodeError:
        if not leniently:
            raise
        read = _json(strict_form(body))
    if not isinstance(read, dict):
        raise InvalidRequest("body: must be a JSON object", code="invalid_body", field=_BODY)
    return read


def _json(text: str) -> Any:
    """What strict JSON says; raises `InvalidRequest` where an object repeats a name.

    A whole number that is too long to read becomes infinity, like `1e999`, so that its field is
    refused and not the whole body.
    """
    try:
        return json.loads(text, parse_int=_whole_number, object_pairs_hook=unrepeated)
    except NameRepeated as repeated:
        why = name_repeated(repeated)
        raise InvalidRequest(why.message, code=why.code, field=why.field) from None


def _whole_number(digits: str) -> int | float:
    if len(digits) > _DIGITS_LIMIT:
        return -math.inf if digits.startswith("-") else math.inf
    return int(digits)


def problem(
    status: HTTPStatus, code: str, message: str, field: str | None = None, limit: Any = None
) -> Response[Any]:
    """An error in the one form of all: code, message, and field and limit if known."""
    return answer(_problem(code, message, field, limit), status)


def _problem(code: str, message: str, field: str | None = None, limit: Any = None) -> Problem:
    return Problem(error=ProblemDetail(code=code, message=message, field=field, limit=limit))


def _unreadable(app: APIGatewayRestResolver, error: RequestValidationError) -> Response[Any]:
    """The answer about the first invalid field of a request; the input is never repeated."""
    first = error.errors()[0]
    if (refusal := repeated(app, first)) is not None:
        return _refused(refusal)
    if str(first["type"]).startswith("json"):
        return problem(HTTPStatus.BAD_REQUEST, "invalid_json", "the body is not JSON", _BODY)
    # The location begins with the part of the request: the body, the query, the path, a header.
    inside = len(first["loc"]) - ("field" not in first.get("ctx", {}))
    told = rejection_of(first, skip=min(1, inside))
    return problem(HTTPStatus.BAD_REQUEST, **dict(told))


_NO_ROUTE = _problem("no_such_route", "there is nothing at this address")


def _unrouted(status: HTTPStatus, told: Problem, headers: "Mapping[str, str]") -> dict[str, Any]:
    """An answer before the resolver reads the request, as API Gateway expects it."""
    sent = {"Content-Type": content_types.APPLICATION_JSON, **headers}
    return {
        "statusCode": status.value,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "body": told.model_dump_json(),
        "isBase64Encoded": False,
    }


def _too_deep(_error: RecursionError) -> Response[Any]:
    """The answer to a body nested too deeply for the JSON reader."""
    return problem(HTTPStatus.BAD_REQUEST, "invalid_json", "the body is nested too deeply", _BODY)


def _not_unicode(_error: UnicodeDecodeError) -> Response[Any]:
    """The answer to a body of bytes that are no text."""
    return problem(HTTPStatus.BAD_REQUEST, "invalid_json", "the body is not UTF-8", _BODY)


def _refused(error: QuorumError) -> Response[Any]:
    """The answer for one of our errors."""
    status, told, headers = _told(error)
    return answer(told, status, headers)


def _told(error: QuorumError) -> tuple[HTTPStatus, Problem, dict[str, str]]:
    """The status, the problem and the headers for one of our errors, as its class describes it."""
    if error.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        logger.error("request refused", extra={"code": error.code, "why": str(error)})
    field = _PROMPT if isinstance(error, VoteUnavailable) and error.field else error.field
    headers = {}
    if error.retry_after_seconds is not None:
        headers[RETRY_AFTER] = str(math.ceil(error.retry_after_seconds))
    told = _problem(error.code, error.told, field, error.limit)
    return HTTPStatus(error.http_status), told, headers


def _failed(error: Exception) -> Response[Any]:
    # The message may quote content, so only the kind of error is logged.
    logger.error("request failed", extra={"error": type(error).__name__})
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, QuorumError.code, FAILED)


def _no_route(_error: NotFoundError) -> Response[Any]:
    return answer(_NO_ROUTE, HTTPStatus.NOT_FOUND)
