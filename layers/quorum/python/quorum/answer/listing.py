"""The models in the form of the OpenAI API, with what is known of them beside it.

Format: the OpenAI API reference, "Models". `created` is the day that the model's price is of.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time
from typing import Literal

from pydantic import Field

from quorum.core import registry
from quorum.core.errors import ModelUnknown, NotFound
from quorum.core.models import Frozen, is_none
from quorum.gateway.models import ModelEntryView


class ListedModel(registry.Model):
    """A model in the form of the OpenAI API, with its price and limits beside it.

    `source` is the package, or the deployment whose operator put it as data. Such a model votes and
    does not answer chats or documents. The deployment's operator sees its `entry`.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    source: Literal["packaged", "deployment"] = "packaged"
    entry: ModelEntryView | None = Field(default=None, exclude_if=is_none)


class ListedModels(Frozen):
    """All models, in the form of the OpenAI API."""

    object: Literal["list"] = "list"
    data: tuple[ListedModel, ...]


def models(put: Iterable[registry.Model] = ()) -> ListedModels:
    """Every model of the registry, then those that were put as data, by name."""
    known = tuple(_listed(one) for one in registry.MODELS)
    others = sorted(put, key=lambda one: one.name)
    return ListedModels(data=known + tuple(_listed(one, source="deployment") for one in others))


def model(
    name: str,
    model_of: Callable[[str], registry.Model] = registry.model,
    entry_of: Callable[[str], ModelEntryView] | None = None,
) -> ListedModel:
    """The model called `name`, by its own name or an alias; raises `NotFound`.

    With `entry_of`, the entry of one that was put as data is shown too.
    """
    try:
        return _listed(registry.model(name))
    except ModelUnknown:
        pass
    try:
        found = _listed(model_of(name), source="deployment")
    except ModelUnknown as unknown:
        raise NotFound("no such model", code="model_not_found", field="model") from unknown
    return found if entry_of is None else found.model_copy(update={"entry": entry_of(name)})


def _listed(
    known: registry.Model, source: Literal["packaged", "deployment"] = "packaged"
) -> ListedModel:
    priced = datetime.combine(known.price.as_of, time(), UTC)
    return ListedModel(id=known.name, created=int(priced.timestamp()), source=source, **dict(known))
