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


def responses(operation: Mapping[str, Any]) -> dict[str, Any]:
    """Status → answer of an operation, wherever the description keeps it."""
    shared = described()["components"]["responses"]
    return {
        status: shared[told["$ref"].rsplit("/", 1)[-1]] if "$ref" in told else told
        for status, told in operation["responses"].items()
    }


@cache
def _validator(schema: str) -> Draft202012Validator:
    """The validator of a schema, as JSON, of the description."""
    return Draft202012Validator(json.loads(schema) | {"components": described()["components"]})


def hold(method: str, path: str, status: int, media_type: str, body: str) -> None:
    """Check an answer against the description; raises AssertionError if it is not described."""
    if path not in described()["paths"]:
        _validator('{"$ref": "#/components/schemas/Problem"}').validate(json.loads(body))
        assert status == 404, (path, status)
        return
    documented = responses(described()["paths"][path][method.lower()])
    assert str(status) in documented, f"{method} {path} answers with {status}: {body}"
    content = documented[str(status)]["content"]
    assert media_type in content, f"{method} {path} answers {status} as {media_type}"
    value = json.loads(body) if media_type == "application/json" else body
    _validator(json.dumps(content[media_type]["schema"])).validate(value)


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
