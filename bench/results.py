"""What a benchmark measured, as JSON beside the page that shows it."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from local.state import ROOT

FOLDER = ROOT / "docs" / "benchmarks"
Versions = Iterable[str] | Mapping[str, str]
"""Packages, or their versions where this Python does not have them."""


def percentile(values: Sequence[float], percent: int) -> float:
    """The percentile; of one value, that value."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def run_of(module: str) -> dict[str, Any]:
    """The run of `module` that begins now: its command, the day, and what else the machine does."""
    return {
        "command": " ".join(("python -m", module, *sys.argv[1:])),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "load_before": round(os.getloadavg()[0], 1),
    }


def _surroundings(versions: Versions) -> dict[str, Any]:
    """The machine, and the versions of Python and of these packages."""
    known = (
        versions
        if isinstance(versions, Mapping)
        else {package: version(package) for package in versions}
    )
    return {
        "machine": {
            "architecture": platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.system(),
        },
        "versions": {"python": platform.python_version(), **known},
    }


def described(figures: Mapping[str, Any], versions: Versions) -> dict[str, Any]:
    """The figures with the machine and the versions of these packages."""
    return {**_surroundings(versions), "figures": figures}


def keep(
    name: str,
    figures: Mapping[str, Any],
    versions: Versions,
    *,
    quick: bool,
) -> None:
    """Keep the figures under `name`, with machine and versions; those of a quick run are shown."""
    print(json.dumps(figures) if quick else write(name, described(figures, versions)))


def merged(name: str, figures: Mapping[str, Any], versions: Versions) -> dict[str, Any]:
    """The figures, with those of earlier runs for the parts that were not measured now."""
    return {**earlier(name, versions), **figures}


def earlier(name: str, versions: Versions, folder: Path = FOLDER) -> dict[str, Any]:
    """The figures kept under `name`; their runs name machine and versions that are not today's."""
    try:
        known = load(name, folder)
    except FileNotFoundError:
        return {}
    today = _surroundings(versions)
    then = {part: known[part] for part in today}
    found: dict[str, Any] = known["figures"]
    return found if then == today else _marked(found, then)


def _marked(part: Any, then: Mapping[str, Any]) -> Any:
    """The part, in whose runs stand machine and versions, if they do not stand there already."""
    if not isinstance(part, Mapping):
        return part
    if "load_before" in part:
        return {**then, **part}
    return {name: _marked(value, then) for name, value in part.items()}


def write(name: str, measured: Mapping[str, Any], folder: Path = FOLDER) -> Path:
    """Keep what was measured under `name`, a list of numbers on one line."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_written(measured, 0) + "\n", encoding="utf-8")
    return path


def load(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """What was measured under `name`."""
    read: dict[str, Any] = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    return read


def _written(part: Any, depth: int) -> str:
    """JSON that a person can read: an object's entries on lines of their own."""
    if not isinstance(part, Mapping) or not part:
        return json.dumps(part, ensure_ascii=False)
    indent = "  " * (depth + 1)
    entries = (
        f"{indent}{json.dumps(str(name), ensure_ascii=False)}: {_written(value, depth + 1)}"
        for name, value in part.items()
    )
    return "{\n" + ",\n".join(entries) + "\n" + "  " * depth + "}"
