"""Checks of answers against the published description of the API."""

import json
from collections.abc import Callable, Mapping
from functools import cache, wraps
from typing import Any

from jsonschema import Draft202012Validator

from tests.template import ROOT

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


@cache
def described() -> dict[str, Any]:
    """`docs/openapi.json`, parsed."""
    parsed: dict[str, Any] = json.loads((ROOT / "docs/openapi.json").read_text())
    return parsed


@cache
def _validator(pointer: tuple[str, ...]) -> Draft202012Validator:
    """The validator of the schema at a pointer into the description."""
    schema = described()
    for part in pointer:
        schema = schema[part]
    return Draft202012Validator(schema | {"components": described()["components"]})


def hold(method: str, path: str, status: int, media_type: str, body: str) -> None:
    """Raise AssertionError for an answer that the route's description does not have."""
    if path not in described()["paths"]:
        _validator(("components", "schemas", "Problem")).validate(json.loads(body))
        assert status == 404, (path, status)
        return
    operation = ("paths", path, method.lower())
    documented: Mapping[str, Any] = described()["paths"][path][method.lower()]["responses"]
    assert str(status) in documented, f"{method} {path} answers with {status}: {body}"
    content = documented[str(status)]["content"]
    assert media_type in content, f"{method} {path} answers {status} as {media_type}"
    value = json.loads(body) if media_type == "application/json" else body
    pointer = (*operation, "responses", str(status), "content", media_type, "schema")
    _validator(pointer).validate(value)


def held(handler: Handler) -> Handler:
    """`handler`, with a check of each answer against the description."""

    @wraps(handler)
    def answering(event: dict[str, Any], context: Any) -> dict[str, Any]:
        answer = handler(event, context)
        (media_type,) = answer["multiValueHeaders"]["Content-Type"]
        hold(
            event["httpMethod"], event["resource"], answer["statusCode"], media_type, answer["body"]
        )
        return answer

    return answering
