"""`docs/openapi.json`, generated from the routes: `python -m local.openapi`."""

import json
from http import HTTPStatus
from pathlib import Path

from quorum.api.problems import ANYWHERE

from functions.api.app import routes
from functions.estimate.app import routes as estimate

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"

_FAILED = {
    "description": ANYWHERE[HTTPStatus.INTERNAL_SERVER_ERROR],
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
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
            operation["responses"]["500"] = _FAILED
            operation["responses"] = dict(sorted(operation["responses"].items()))
    for unused in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        schemas.pop(unused, None)
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
