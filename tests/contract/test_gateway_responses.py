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
    "UNAUTHORIZED": 401,
    "REQUEST_TOO_LARGE": 413,
    "MISSING_AUTHENTICATION_TOKEN": 404,
    "THROTTLED": 429,
    "WAF_FILTERED": 403,
    "DEFAULT_4XX": 400,
    "DEFAULT_5XX": 500,
}
"""The status of each of API Gateway's own answers, as AWS sets it, or as the template does."""


def test_whatever_api_gateway_answers_itself_has_the_forms_of_all_doors() -> None:
    assert gateway_responses().keys() == GATEWAY_STATUSES.keys()
    for name, response in gateway_responses().items():
        status = response.get("StatusCode", GATEWAY_STATUSES[name])
        assert status == GATEWAY_STATUSES[name]
        body = response["ResponseTemplates"]["application/json"]
        told = GatewayProblem.model_validate_json(body).error
        own = ProblemDetail(**told.model_dump(include=set(ProblemDetail.model_fields)))
        openais = openai.error_of(Problem(error=own), status).error.model_dump()
        assert told.model_dump(include=set(openais)) == openais, name
        googles = perspective.error_of(Problem(error=own), status).error
        assert (told.status, told.message) == (googles.status, googles.message), name
