"""`docs/openapi.json`, generated from the routes: `python -m local.openapi`.

The function of pages has a link to it, and serves it.
"""

import json
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

from quorum.api.access import ACCESS, WITHOUT_KEY
from quorum.api.problems import ANYWHERE

from functions.api.app import routes
from functions.estimate.app import routes as estimate
from functions.webhooks.app import routes as webhooks

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "openapi.json"

_FAILED = {"description": ANYWHERE[HTTPStatus.INTERNAL_SERVER_ERROR]}


def document() -> str:
    """The OpenAPI document of the HTTP API."""
    described, *others = (
        json.loads(
            each.get_openapi_json_schema(
                title="Quorum",
                version="1",
                description="Content moderation decided by a vote of models.",
            )
        )
        for each in (routes, estimate, webhooks)
    )
    # The path of a route is a regular expression; in the description it is a path.
    described["paths"] = {
        path.replace("\\", ""): operations for path, operations in described["paths"].items()
    }
    schemas = described["components"]["schemas"]
    for other in others:
        described["paths"] |= other["paths"]
        schemas |= other["components"]["schemas"]
    described["servers"] = [{"url": "."}]  # wherever the description was read from
    told = (
        "Also `X-Goog-Api-Key`, `Authorization: Bearer` or `?key=`. Of the scopes of an operation a"
        " key needs one."
    )
    keyed = {"type": "apiKey", "in": "header", "name": "x-api-key", "description": told}
    described["components"]["securitySchemes"] = {"key": keyed}
    described["security"] = [{"key": []}]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            route = f"{method.upper()} {path}"
            operation["security"] = _security(route)
            operation["tags"] = [path.split("/")[1]]
            operation["description"] = _with_scopes(operation.get("description", ""), route)
            # Powertools describes its own forms of these two; ours is a Problem.
            del operation["responses"]["422"]
            # Of a route whose errors have another form, a 500 has the form of a 502.
            form = operation["responses"]["502"]["content"]
            operation["responses"]["500"] = _FAILED | {"content": form}
            operation["responses"] = dict(sorted(operation["responses"].items()))
    described["components"]["responses"] = _shared_errors(described["paths"])
    for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(unused, None)
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


def _security(route: str) -> list[dict[str, list[str]]]:
    """The scopes of which a key needs one; empty for a route without a key."""
    if route in WITHOUT_KEY:
        return []
    return [{"key": [scope]} for scope in ACCESS[route]] or [{"key": []}]


def _with_scopes(description: str, route: str) -> str:
    """An operation's description, with the scopes of which its key needs one."""
    scopes = " or ".join(f"`{scope}`" for scope in ACCESS[route])
    told = f"Needs a key with the scope {scopes}." if scopes else "Every key may do this."
    if route in WITHOUT_KEY:
        told = "Needs no key."
    return f"{description}\n\n{told}".strip()


_NAMES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestEntityTooLarge"}
"""Names that differ between versions of Python."""


def _shared_errors(paths: dict[str, Any]) -> dict[str, Any]:
    """The answers of errors that several operations give, by name; operations then refer to them.

    The commonest of a status has the status's name, the others a number behind it.
    """
    answers = [
        operation["responses"] for operations in paths.values() for operation in operations.values()
    ]
    shared: dict[str, Any] = {}
    for status in HTTPStatus:
        code = str(status.value)
        told = Counter(json.dumps(each[code]) for each in answers if code in each)
        if status < HTTPStatus.BAD_REQUEST:
            continue
        name = _NAMES.get(status) or "".join(map(str.capitalize, status.name.split("_")))
        for number, (answer, times) in enumerate(told.most_common(), 1):
            if number > 1 and times == 1:
                break
            called = name if number == 1 else f"{name}{number}"
            shared[called] = json.loads(answer)
            for each in answers:
                if each.get(code) == shared[called]:
                    each[code] = {"$ref": f"#/components/responses/{called}"}
    return shared


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
