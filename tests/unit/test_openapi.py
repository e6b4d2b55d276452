"""The description of the API is complete, and checks of answers against it can fail."""

import json
from typing import Any

import pytest
from jsonschema import ValidationError
from quorum.api.access import ACCESS, WITHOUT_KEY
from quorum.api.admission import RATE_HEADERS
from quorum.core import errors
from quorum.core.errors import QuorumError

from tests import openapi, template

PROBLEM = {"error": {"code": "failed", "message": "it failed"}}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in openapi.described()["paths"].items()
        for method, operation in methods.items()
    ]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (418, PROBLEM, AssertionError),
        (500, {"message": "Internal Server Error"}, ValidationError),
        (200, PROBLEM, ValidationError),
        (200, {"status": "ok", "default_panel": "default", "more": 1}, ValidationError),
    ],
)
def test_an_answer_that_is_not_described_is_not_held(
    status: int, body: Any, error: type[Exception]
) -> None:
    described = {"status": "ok", "default_panel": "default"}
    openapi.hold("GET", "/health", 200, "application/json", json.dumps(described))
    with pytest.raises(error):
        openapi.hold("GET", "/health", status, "application/json", json.dumps(body))


def test_every_route_describes_its_answer_and_its_errors() -> None:
    routes = [
        (route["Properties"]["Method"].lower(), route["Properties"]["Path"])
        for name, block in template.functions().items()
        for route in block.get("Events", {}).values()
        if route["Type"] == "Api" and name not in {"PagesFunction", "ConsoleFunction"}
    ]
    assert sorted((method, path) for method, path, _ in operations()) == sorted(routes)
    for method, path, operation in operations():
        answered = {int(status): told for status, told in openapi.responses(operation).items()}
        (status,) = (status for status in answered if status < 300)
        schema = answered[status]["content"]["application/json"]["schema"]
        assert schema["$ref"].startswith("#/components/schemas/"), (method, path)
        assert answered.keys() >= {400, 401, 403, 429, 500, 502, 503, 504}, (method, path)
        for refused in answered.keys() - {status}:
            text = json.dumps(answered[refused]["content"])
            assert '"#/components/schemas/GatewayProblem"' in text, (method, path, refused)


def test_every_route_with_a_body_says_that_it_may_be_too_large() -> None:
    """`resolve` refuses a body over its limit before it looks for the route."""
    with_body = [each for each in operations() if "requestBody" in each[2]]
    assert {method for method, _, _ in with_body} == {"post", "put"}
    for method, path, operation in with_body:
        assert "413" in operation["responses"], (method, path)


def test_every_status_of_the_table_of_errors_is_described_somewhere() -> None:
    classes = (found for found in vars(errors).values() if isinstance(found, type))
    statuses = {found.http_status for found in classes if issubclass(found, QuorumError)}
    described = {
        int(status) for _, _, operation in operations() for status in operation["responses"]
    }
    assert statuses <= described
    assert {201, 202, 200} <= described


def test_an_error_that_operations_share_is_described_once() -> None:
    """An answer that two operations write out would be the same text twice, and drift apart."""
    inline = [
        json.dumps(told)
        for _, _, operation in operations()
        for status, told in operation["responses"].items()
        if int(status) >= 400 and "$ref" not in told
    ]
    assert len(inline) == len(set(inline))
    shared = openapi.described()["components"]["responses"]
    assert shared["Unauthorized"] == openapi.responses(operations()[0][2])["401"]


def test_an_object_of_an_answer_names_all_its_fields() -> None:
    """A field that is added to an answer and not to the description is found by its tests."""
    schemas = openapi.described()["components"]["schemas"]
    open_ones = {
        name
        for name, schema in schemas.items()
        if schema.get("type") == "object" and schema.get("additionalProperties") is not False
    }
    # Google's form is open, and so is an entry of newer code: its hash covers every field it has.
    assert open_ones == {"DiscoveryDocument", "AuditEntry"}


def test_every_route_says_which_scopes_it_needs() -> None:
    """`ACCESS` is what is enforced; a route that is not in it is served to nobody."""
    assert {f"{method.upper()} {path}" for method, path, _ in operations()} == ACCESS.keys()
    for method, path, operation in operations():
        route = f"{method.upper()} {path}"
        needed = ACCESS[route]
        told = [requirement["key"] for requirement in operation["security"]]
        keyless: list[list[str]] = [] if route in WITHOUT_KEY else [[]]
        assert told == ([[scope] for scope in needed] or keyless), (method, path)
        assert all(f"`{scope}`" in operation["description"] for scope in needed), (method, path)


def test_a_refusal_for_too_many_requests_has_its_headers_described() -> None:
    for method, path, operation in operations():
        refused = openapi.responses(operation)["429"]
        assert refused["headers"].keys() == {"Retry-After", *RATE_HEADERS}, (method, path)
