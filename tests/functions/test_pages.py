"""The description of the API and its documentation, as the stack serves them."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from quorum.api.access import WITHOUT_KEY

from functions.pages import app as pages
from tests import template
from tests.template import ROOT

Get = Callable[[str], dict[str, Any]]


@pytest.fixture
def get(event: Callable[[str], dict[str, Any]], context: Any) -> Get:
    def send(path: str) -> dict[str, Any]:
        _, _, file = path.partition("/docs/")
        at = {"resource": "/docs/{file}", "pathParameters": {"file": file}} if file else {}
        return dict(pages.handler(event("get_docs.json") | {"resource": path} | at, context))

    return send


def test_the_description_is_that_of_the_documentation(get: Get) -> None:
    answer = get("/openapi.json")
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == json.loads((ROOT / "docs/openapi.json").read_text())


def test_the_page_and_all_its_parts_are_served_from_here(get: Get) -> None:
    page = get("/docs")
    assert page["multiValueHeaders"]["Content-Type"] == ["text/html; charset=utf-8"]
    linked = re.findall(r'(?:src|href)="([^"]+)"', page["body"])
    parts = [link for link in linked if not link.startswith("data:")]
    assert len(parts) == 4
    for part in parts:
        answer = get(f"/{part}")
        assert answer["statusCode"] == 200, part
        assert len(answer["body"]) < 2_000_000, part
    assert 'url: "openapi.json"' in get("/docs/start.js")["body"]


def test_the_page_lets_the_browser_load_nothing_from_elsewhere_and_run_nothing_inside(
    get: Get,
) -> None:
    (policy,) = get("/docs")["multiValueHeaders"]["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    assert "<script>" not in get("/docs")["body"]
    assert "style=" not in get("/docs")["body"]


@pytest.mark.parametrize(
    "path", ["/docs/app.py", "/docs/../app.py", "/docs/docs.html", "/docs/{file}"]
)
def test_nothing_else_is_served(get: Get, path: str) -> None:
    answer = get(path)
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["error"]["code"] == "no_such_route"


def test_who_serves_the_pages_has_no_permissions() -> None:
    properties = template.functions()["PagesFunction"]
    assert "Policies" not in properties
    keyless = {
        f"{event['Properties']['Method'].upper()} {event['Properties']['Path']}"
        for name, block in template.functions().items()
        for event in block.get("Events", {}).values()
        if event["Properties"].get("Auth") == {"Authorizer": "NONE"} and name != "ConsoleFunction"
    }
    assert keyless - WITHOUT_KEY == {"GET /openapi.json", "GET /docs", "GET /docs/{file}"}
    assert keyless >= WITHOUT_KEY
