"""`docs/openapi.json`, as the routes themselves say it: `python -m local.openapi`."""

import json
from pathlib import Path

from quorum.api.http import PROBLEM_SCHEMA

from functions.api.app import routes
from functions.estimate.app import routes as estimate

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"

_PROBLEM = "#/components/schemas/Problem"
_REFUSALS = {
    "400": "The request cannot be read; the field and the limit are named",
    "401": "No API key, or an unknown one",
    "403": "Not an operator's API key",
    "503": "Nothing could be stored; try again",
}


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
    for other in others:
        described["paths"] |= other["paths"]
        described["components"]["schemas"] |= other["components"]["schemas"]
    keyed = {"type": "apiKey", "in": "header", "name": "x-api-key"}
    described.setdefault("components", {})["securitySchemes"] = {"key": keyed}
    described["components"].setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    described["security"] = [{"key": []}]
    for operations in described["paths"].values():
        for operation in operations.values():
            # Powertools describes its own form of a refusal; ours is a 400 and a Problem.
            del operation["responses"]["422"]
            operation["responses"] |= {
                status: {
                    "description": what,
                    "content": {"application/json": {"schema": {"$ref": _PROBLEM}}},
                }
                for status, what in _REFUSALS.items()
            }
    for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        described["components"]["schemas"].pop(unused, None)
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
