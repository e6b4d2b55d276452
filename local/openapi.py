"""`docs/openapi.json`, generated from the routes: `python -m local.openapi`."""

import json
from collections import Counter
from http import HTTPStatus
from pathlib import Path
from typing import Any

from quorum.api.problems import ANYWHERE

from functions.api.app import routes
from functions.estimate.app import routes as estimate

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"

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
        for each in (routes, estimate)
    )
    # The path of a route is a regular expression; in the description it is a path.
    described["paths"] = {
        path.replace("\\", ""): operations for path, operations in described["paths"].items()
    }
    schemas = described["components"]["schemas"]
    for other in others:
        described["paths"] |= other["paths"]
        schemas |= other["components"]["schemas"]
    keyed = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    described["components"]["securitySchemes"] = {"key": keyed}
    described["security"] = [{"key": []}]
    for operations in described["paths"].values():
        for operation in operations.values():
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


def _shared_errors(paths: dict[str, Any]) -> dict[str, Any]:
    """The commonest answer for each status of errors, by name; operations then refer to it.

    Others of the same status stay where they are: only their own operation gives them.
    """
    answers = [
        operation["responses"] for operations in paths.values() for operation in operations.values()
    ]
    shared: dict[str, Any] = {}
    for status in HTTPStatus:
        code = str(status.value)
        told = [json.dumps(each[code]) for each in answers if code in each]
        if status < HTTPStatus.BAD_REQUEST or not told:
            continue
        (commonest, _), *_ = Counter(told).most_common(1)
        name = "".join(word.capitalize() for word in status.name.split("_"))
        shared[name] = json.loads(commonest)
        for each in answers:
            if each.get(code) == shared[name]:
                each[code] = {"$ref": f"#/components/responses/{name}"}
    return shared


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
