"""What API Gateway answers itself: in the forms of all doors, with the API's own limit."""

import json
from typing import Any

from quorum.api import openai, perspective
from quorum.api.http import BODY_LIMIT
from quorum.api.problems import GatewayProblem, Problem, ProblemDetail

from tests import template


def gateway_responses() -> dict[str, Any]:
    responses: dict[str, Any] = template.resources("AWS::Serverless::Api")["Api"][
        "GatewayResponses"
    ]
    return responses


def test_the_limit_api_gateway_names_is_the_apis_own() -> None:
    body = gateway_responses()["REQUEST_TOO_LARGE"]["ResponseTemplates"]["application/json"]
    error = json.loads(body)["error"]
    assert error["limit"] == BODY_LIMIT
    # Lambda takes 6 MB with all quotes escaped, so a smaller body can be refused as well.
    assert f"at most {BODY_LIMIT} bytes, and fewer if" in error["message"]


GATEWAY_STATUSES = {
    "BAD_REQUEST_BODY": 400,
    "BAD_REQUEST_PARAMETERS": 400,
    "DEFAULT_4XX": 400,
    "UNAUTHORIZED": 401,
    "ACCESS_DENIED": 403,
    "EXPIRED_TOKEN": 403,
    "INVALID_API_KEY": 403,
    "INVALID_SIGNATURE": 403,
    "MISSING_AUTHENTICATION_TOKEN": 403,
    "WAF_FILTERED": 403,
    "RESOURCE_NOT_FOUND": 404,
    "REQUEST_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "QUOTA_EXCEEDED": 429,
    "THROTTLED": 429,
    "API_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_CONFIGURATION_ERROR": 500,
    "AUTHORIZER_FAILURE": 500,
    "DEFAULT_5XX": 500,
    "INTEGRATION_FAILURE": 504,
    "INTEGRATION_TIMEOUT": 504,
}
"""The status of each kind of answer that API Gateway has, as AWS sets it (API Gateway developer
guide, "Gateway response types"); the two defaults stand for all that the template does not have."""


def response_to(kind: str) -> tuple[int, dict[str, Any]]:
    """Status and response of a kind of answer, which may be a default's."""
    responses, usual = gateway_responses(), GATEWAY_STATUSES[kind]
    if kind not in responses:
        return usual, responses[f"DEFAULT_{usual // 100}XX"]
    return responses[kind].get("StatusCode", usual), responses[kind]


def test_an_address_without_a_route_is_a_404_whatever_header_the_request_has() -> None:
    # No route is signed: API Gateway reads Authorization as a signature only where there is none.
    for kind in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE", "EXPIRED_TOKEN"):
        assert response_to(kind) == response_to("MISSING_AUTHENTICATION_TOKEN"), kind
    assert response_to("INVALID_SIGNATURE")[0] == 404


def test_whatever_api_gateway_answers_itself_has_the_forms_of_all_doors() -> None:
    assert gateway_responses().keys() <= GATEWAY_STATUSES.keys()
    for name in GATEWAY_STATUSES:
        status, response = response_to(name)
        body = response["ResponseTemplates"]["application/json"]
        told = GatewayProblem.model_validate_json(body).error
        own = ProblemDetail(**told.model_dump(include=set(ProblemDetail.model_fields)))
        openais = openai.error_of(Problem(error=own), status).error.model_dump()
        assert told.model_dump(include=set(openais)) == openais, name
        googles = perspective.error_of(Problem(error=own), status).error
        assert (told.status, told.message) == (googles.status, googles.message), name
