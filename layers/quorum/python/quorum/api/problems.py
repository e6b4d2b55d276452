"""The described answers of a route: a model, or an error, its own or API Gateway's."""

import inspect
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypedDict

from aws_lambda_powertools.event_handler import content_types
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from pydantic import Field

from quorum.api.admission import RATE_HEADERS, RETRY_AFTER
from quorum.core.errors import InvalidRequest, QuorumError
from quorum.core.models import Frozen, is_none


class ProblemDetail(Frozen):
    """An error: `code` is for programs, `message` for people; neither quotes content.

    `field` is the field to change, `limit` its maximum, its minimum or its pattern.
    """

    code: str
    message: str
    field: str | None = Field(default=None, exclude_if=is_none)
    limit: Any = Field(default=None, exclude_if=is_none)


class Problem(Frozen):
    """The one form of every error."""

    error: ProblemDetail


class GatewayProblemDetail(ProblemDetail):
    """An error that API Gateway answered itself, in one form for the clients of all routes.

    `type` and `param` are those of OpenAI's form, `status` is that of Google's.
    """

    type: str
    param: str | None
    status: str


class GatewayProblem(Frozen):
    """The form of the errors that API Gateway answers itself."""

    error: GatewayProblemDetail


ANYWHERE: Mapping[HTTPStatus, str] = MappingProxyType(
    {
        HTTPStatus.UNAUTHORIZED: "There is no API key, or it is unknown.",
        HTTPStatus.FORBIDDEN: "The key is known but may not do this: it lacks a scope, which"
        " `limit` names, or its page has another origin.",
        HTTPStatus.TOO_MANY_REQUESTS: "The key has used up its limit of requests, or there are more"
        " requests than the deployment accepts (then without headers).",
        HTTPStatus.INTERNAL_SERVER_ERROR: "The request could not be served.",
        HTTPStatus.BAD_GATEWAY: "The service did not answer as it should.",
        HTTPStatus.SERVICE_UNAVAILABLE: "Temporarily unavailable; retry later.",
        HTTPStatus.GATEWAY_TIMEOUT: "The service did not answer in time.",
    }
)
"""The errors that any route may answer with: API Gateway's, and that of a store that is down."""


class Described(TypedDict):
    """The part of a route's description about its answers."""

    status_code: int
    responses: dict[int, OpenAPIResponse]


def gives(
    model: type[Frozen],
    *errors: type[QuorumError],
    status: HTTPStatus = HTTPStatus.OK,
    also: Mapping[HTTPStatus, type[Frozen]] = MappingProxyType({}),
    stream: bool = False,
    error_form: type[Frozen] | None = None,
) -> Described:
    """The description of a route that answers with a `model` and `status`, or with an error.

    `errors` are added to those that any route may answer with. `also` are other statuses with a
    model, which may have an error instead. With `stream`, the answer may be server-sent events.
    `error_form` is the form of the route's own errors, if not `Problem`.
    """
    described = {each: [text] for each, text in ANYWHERE.items()}
    refusals: tuple[type[QuorumError], ...] = (InvalidRequest, *errors)
    for error in refusals:
        described.setdefault(HTTPStatus(error.http_status), []).insert(0, _summary(error))
    form: Any = (error_form or Problem) | GatewayProblem
    responses = {
        each.value: _response(" ".join(dict.fromkeys(texts)), form)
        for each, texts in sorted(described.items())
    }
    responses[HTTPStatus.TOO_MANY_REQUESTS.value]["headers"] = {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in {RETRY_AFTER: "Seconds to wait.", **RATE_HEADERS}.items()
    }
    for each, other in also.items():
        responses[each.value] = _response(_summary(other), other | Problem | GatewayProblem)
    responses[status.value] = _response(_summary(model), model)
    if stream:
        text: Any = {"schema": {"type": "string", "description": "server-sent events"}}
        responses[status.value]["content"]["text/event-stream"] = text
    return {"status_code": status.value, "responses": responses}


def _summary(documented: type) -> str:
    """The first paragraph of a class's docstring, on one line."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _response(description: str, model: Any) -> OpenAPIResponse:
    content: Any = {content_types.APPLICATION_JSON: {"model": model}}
    return {"description": description, "content": content}
