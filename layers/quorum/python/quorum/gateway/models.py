"""The deployment's models: those of the registry, and those that were put as data.

The Models table holds them as `quorum.aws.versions` says. A model of the registry is read nowhere.
What is in force is read at once and remembered for a while, so a model that was put is known
everywhere within that time; where the table cannot be read, what is known stays.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from pydantic import Field

from quorum.aws.telemetry import logger
from quorum.aws.versions import Document, Kind, VersionedDocuments, VersionPut, Writer
from quorum.core import registry
from quorum.core.errors import InvalidRequest, ModelUnknown, NotFound, StoreUnavailable
from quorum.core.model_entry import ModelEntry, NamedEntry
from quorum.core.models import Frozen
from quorum.core.registry import Model
from quorum.gateway.fair_share import RateLimit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource

MODELS_LIMIT = 50
"""Models that are in force at a time, beside those of the registry."""
MODEL = Kind("model", "models", "owner", MODELS_LIMIT)
"""How the table and its errors call them."""
OWNER = "deployment"
"""The owner of every entry."""


class ModelEntryView(Frozen):
    """The entry of a model: its document, whether it is in force, and what was put before."""

    name: str
    version: str
    in_force: bool
    entry: dict[str, Any] = Field(description="the document, without defaults")
    history: tuple[VersionPut, ...]


class Models:
    """The models of a deployment; what is in force is known for `seconds`. Threads may share it."""

    def __init__(
        self,
        dynamodb: "DynamoDBServiceResource",
        table: str,
        *,
        seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._documents = VersionedDocuments(dynamodb, table, MODEL, seconds=seconds, clock=clock)
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()
        self._entries: Mapping[str, NamedEntry] | None = None
        self._due_at = clock()

    # ---- what there is -----------------------------------------------------------------------

    def model(self, name: str) -> Model:
        """The model called `name`; raises `ModelUnknown` and `StoreUnavailable`."""
        try:
            return registry.model(name)
        except ModelUnknown:
            return self.entry_of(name).model

    def entry_of(self, name: str) -> NamedEntry:
        """The model that was put under `name`; raises `ModelUnknown` and `StoreUnavailable`."""
        found = self.entries()
        if name not in found:
            raise ModelUnknown(name, found)
        return found[name]

    def entries(self) -> Mapping[str, NamedEntry]:
        """The models that were put and are in force, by name, as known.

        Raises `StoreUnavailable` if they could never be read.
        """
        with self._lock:
            if self._entries is None or self._clock() >= self._due_at:
                try:
                    self._entries = self._read()
                except StoreUnavailable:
                    if self._entries is None:
                        raise
                self._due_at = self._clock() + self._seconds
            return self._entries

    def voters(self) -> frozenset[str]:
        """The names of all models that vote; raises `StoreUnavailable`."""
        return frozenset(known.name for known in registry.voters()) | self.entries().keys()

    def _read(self) -> dict[str, NamedEntry]:
        found: dict[str, NamedEntry] = {}
        for name, item in self._documents.in_force(OWNER).items():
            try:
                entry = ModelEntry.model_validate_json(item["entry_json"], extra="ignore")
            except (ValueError, KeyError):  # of another release: it votes no more, and says so
                logger.error("model entry not read", extra={"model": name})
                continue
            found[name] = NamedEntry(name=name, entry=entry, model=entry.model(name))
        return found

    # ---- entries -----------------------------------------------------------------------------

    def view(self, name: str) -> ModelEntryView:
        """The entry in force, read now; raises `NotFound` and `StoreUnavailable`."""
        version = self._documents.current(OWNER, name)
        if version is None:
            raise NotFound("no such model", code="model_not_found", field="name")
        return ModelEntryView(
            name=name,
            version=version,
            in_force=True,
            entry=self._documents.read(OWNER, name, version),
            history=self._documents.history(OWNER, name),
        )

    def put(
        self,
        name: str,
        entry: ModelEntry,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> ModelEntryView:
        """Put `entry` in force under `name`; every version is kept. `writer` writes more with it.

        With `expected`, only if that version is in force now (`*`: if any is). Raises
        `PreconditionFailed`, `InvalidRequest` and `StoreUnavailable`.
        """
        if _is_packaged(name):
            raise InvalidRequest(
                f"name: {name} comes with the package; put a model of another name, with its"
                " gateway_name",
                code="model_packaged",
                field="name",
            )
        fields = entry.document()
        document = Document(name, entry.version, fields, {"entry_json": json.dumps(fields)})
        self._documents.put(OWNER, document, by, expected=expected, now=now, writer=writer)
        self._forget()
        return self.view(name)

    def delete(
        self,
        name: str,
        by: str,
        *,
        expected: str | None,
        now: datetime,
        writer: Writer | None = None,
    ) -> ModelEntryView:
        """Put the model out of force; its versions are kept. Returns what was in force.

        Raises `NotFound`, `PreconditionFailed` and `StoreUnavailable`.
        """
        last = self.view(name)
        self._documents.delete(OWNER, name, by, expected=expected, now=now, writer=writer)
        self._forget()
        return last.model_copy(update={"in_force": False})

    def _forget(self) -> None:
        """Read again at the next look."""
        with self._lock:
            self._due_at = self._names_due_at = self._clock()


class ModelLimits(Mapping[str, RateLimit]):
    """The rate limits by model: the deployment's parameters first, then the entries' own.

    A limit that an entry leaves out is that of `every` model.
    """

    def __init__(self, listed: Mapping[str, RateLimit], models: Models, every: RateLimit) -> None:
        self._listed = listed
        self._models = models
        self._every = every

    def __getitem__(self, name: str) -> RateLimit:
        """The model's limit; raises `KeyError` where it has none of its own."""
        if name in self._listed:
            return self._listed[name]
        if _is_packaged(name) or name not in self._models.entries():
            raise KeyError(name)
        entry = self._models.entry_of(name).entry
        return RateLimit(
            requests_per_minute=entry.requests_per_minute or self._every.requests_per_minute,
            tokens_per_minute=entry.tokens_per_minute or self._every.tokens_per_minute,
        )

    def __iter__(self) -> Iterator[str]:
        """The names of models with limits of their own."""
        return iter({**self._listed, **dict.fromkeys(self._models.entries())})

    def __len__(self) -> int:
        """How many there are."""
        return len(tuple(iter(self)))


def _is_packaged(name: str) -> bool:
    try:
        registry.model(name)
    except ModelUnknown:
        return False
    return True
