"""The pages that anybody may read: the description of the API, and its documentation.

Swagger UI comes with Powertools, which is in the layer anyway. Every part is served from here, and
the policy of the page lets the browser load nothing from elsewhere.
"""

from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from aws_lambda_powertools.event_handler import content_types

from quorum.api.problems import Problem, ProblemDetail

PAGE_SECONDS = 300
"""Seconds for which a browser keeps what changes with a deployment."""
PART_SECONDS = 86_400
"""Seconds for which a browser keeps Swagger UI."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:;"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
)
_NOT_FOUND = Problem(
    error=ProblemDetail(code="no_such_route", message="there is nothing at this address")
).model_dump_json()


class Page(NamedTuple):
    """A page or a part of one: its type, its text, and how long a browser may keep it."""

    media_type: str
    text: str
    seconds: int


class Pages:
    """The pages in a folder, and Swagger UI; each is read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def answer(self, path: str) -> dict[str, Any]:
        """The page at `path`, or a 404, as API Gateway expects it."""
        page = self._pages.get(path)
        if page is None:
            return _answer(HTTPStatus.NOT_FOUND, content_types.APPLICATION_JSON, _NOT_FOUND)
        kept = {"Cache-Control": f"public, max-age={page.seconds}"}
        return _answer(HTTPStatus.OK, page.media_type, page.text, kept)

    @cached_property
    def _pages(self) -> dict[str, Page]:
        shipped = files("aws_lambda_powertools") / "event_handler" / "openapi" / "swagger_ui"
        script = (shipped / "swagger-ui-bundle.min.js").read_text(encoding="utf-8")
        style = (shipped / "swagger-ui.min.css").read_text(encoding="utf-8")
        return {
            "/openapi.json": Page(
                content_types.APPLICATION_JSON, self._own("openapi.json"), PAGE_SECONDS
            ),
            "/docs": Page("text/html; charset=utf-8", self._own("docs.html"), PAGE_SECONDS),
            "/docs/start.js": Page("text/javascript", self._own("start.js"), PAGE_SECONDS),
            "/docs/swagger-ui.js": Page("text/javascript", script, PART_SECONDS),
            "/docs/swagger-ui.css": Page("text/css", style, PART_SECONDS),
        }

    def _own(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")


def _answer(
    status: HTTPStatus,
    media_type: str,
    body: str,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, Any]:
    sent = {"Content-Type": media_type, **HEADERS, **headers}
    return {
        "statusCode": status.value,
        "multiValueHeaders": {name: [value] for name, value in sent.items()},
        "body": body,
        "isBase64Encoded": False,
    }
