"""Models as data, for commands that ask models themselves, without a deployment."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from quorum.core.errors import ModelUnavailable
from quorum.core.json_names import NameRepeated, require_unrepeated
from quorum.core.model_entry import ModelEntry, NamedEntry
from quorum.gateway.client import Gateway
from quorum.gateway.model_gateways import ModelGateways
from quorum.gateway.model_hosts import ModelHosts

from cli.errors import first_problem, of_file

KEYS_VARIABLE = "MODEL_API_KEYS"
"""A JSON object from names of keys in entries to keys, as a deployment's secret has them."""

Entries = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME=FILE",
        help="a model put as data: its name on the panel, and its entry as JSON; may be repeated",
    ),
]


def read(named: list[str] | None) -> dict[str, NamedEntry]:
    """The entries by name; raises `typer.BadParameter`."""
    found: dict[str, NamedEntry] = {}
    for one in named or ():
        name, _, file = one.partition("=")
        try:
            entry = parsed(Path(file).read_text(encoding="utf-8"))
        except OSError as problem:
            raise typer.BadParameter(f"--model {name}: {of_file(problem)}") from None
        except NameRepeated as problem:
            raise typer.BadParameter(f"--model {one}: {problem}") from None
        except ValidationError as problem:
            raise typer.BadParameter(f"--model {one}: {first_problem(problem)}") from None
        found[name] = NamedEntry(name=name, entry=entry, model=entry.model(name))
    return found


def parsed(text: str) -> ModelEntry:
    """The entry in JSON text; raises `ValidationError` and `NameRepeated`."""
    entry = ModelEntry.model_validate_json(text)
    require_unrepeated(text)
    return entry


def gateways(entries: Mapping[str, NamedEntry], shared: Callable[[], Gateway]) -> ModelGateways:
    """The clients of the entries' servers; `shared` opens that of models without one."""
    hosts = ",".join(known.entry.base_url for known in entries.values() if known.entry.base_url)
    return ModelGateways(ModelHosts(hosts), shared, _keys)


def client_of(known: NamedEntry, gateways_: ModelGateways) -> Gateway:
    """The client of the model; raises `typer.BadParameter` if its key is missing."""
    try:
        return gateways_.of(known.entry)
    except ModelUnavailable:
        raise typer.BadParameter(
            f"{known.name}: set {KEYS_VARIABLE} to a JSON object with its key {known.entry.key!r}"
        ) from None


def _keys() -> dict[str, object]:
    written = os.environ.get(KEYS_VARIABLE) or "{}"
    try:
        read_: object = json.loads(written)
    except ValueError:
        read_ = None
    if not isinstance(read_, dict):
        raise typer.BadParameter(f"{KEYS_VARIABLE} is not a JSON object")
    return read_
