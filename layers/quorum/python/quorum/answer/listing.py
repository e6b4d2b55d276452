"""The models in the form of the OpenAI API, with what the registry knows beside it. Pure.

Format: the OpenAI API reference, "Models". `created` is the day that the model's price is of.
"""

from datetime import UTC, datetime, time
from typing import Any

from quorum.core import registry
from quorum.core.errors import ModelUnknown, NotFound


def models() -> dict[str, Any]:
    """Every model of the registry."""
    return {"object": "list", "data": [_listed(known) for known in registry.MODELS]}


def model(name: str) -> dict[str, Any]:
    """The model called `name`, by its own name or an alias; raises `NotFound`."""
    try:
        return _listed(registry.model(name))
    except ModelUnknown as unknown:
        raise NotFound("no such model", code="model_not_found", field="model") from unknown


def _listed(known: registry.Model) -> dict[str, Any]:
    priced = datetime.combine(known.price.as_of, time(), UTC)
    form = {"id": known.name, "object": "model", "created": int(priced.timestamp())}
    return form | known.model_dump(mode="json")
