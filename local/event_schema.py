"""`docs/events.schema.json`, from the models of events: `python -m local.event_schema`."""

import json
from pathlib import Path
from typing import Any

from quorum.events.schema import EVENT

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docs" / "events.schema.json"


def document() -> str:
    """The JSON Schema of an event, as it is written.

    Objects are open in it, though the models are closed: fields may be added within a version.
    """
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Event",
        **EVENT.json_schema(mode="serialization"),
    }
    return json.dumps(_opened(schema), indent=2, ensure_ascii=False) + "\n"


def _opened(schema: Any) -> Any:
    """The schema without `additionalProperties: false`."""
    match schema:
        case dict():
            return {
                name: _opened(value)
                for name, value in schema.items()
                if (name, value) != ("additionalProperties", False)
            }
        case list():
            return [_opened(one) for one in schema]
    return schema


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
