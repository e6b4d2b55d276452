"""The models in the form of the OpenAI API, with what the registry knows beside it. Pure.

Format: the OpenAI API reference, "Models". `created` is the day that the model's price is of.
"""

from datetime import UTC, datetime, time
from typing import Literal

from quorum.core import registry
from quorum.core.errors import ModelUnknown, NotFound
from quorum.core.models import Frozen


class ListedModel(registry.Model):
    """A model in the form of the OpenAI API, with its price and limits beside it."""

    id: str
    object: Literal["model"] = "model"
    created: int


class ListedModels(Frozen):
    """All models, in the form of the OpenAI API."""

    object: Literal["list"] = "list"
    data: tuple[ListedModel, ...]


def models() -> ListedModels:
    """Every model of the registry."""
    return ListedModels(data=tuple(_listed(known) for known in registry.MODELS))


def model(name: str) -> ListedModel:
    """The model called `name`, by its own name or an alias; raises `NotFound`."""
    try:
        return _listed(registry.model(name))
    except ModelUnknown as unknown:
        raise NotFound("no such model", code="model_not_found", field="model") from unknown


def _listed(known: registry.Model) -> ListedModel:
    priced = datetime.combine(known.price.as_of, time(), UTC)
    return ListedModel(id=known.name, created=int(priced.timestamp()), **dict(known))
