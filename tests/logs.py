"""What is private, looked for in the logs of a local stack, which MiniStack keeps in files."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

KEY = re.compile(r"qk_[A-Za-z0-9_-]{20,}")
"""A key of the API; what is stored to recognise it by is shorter."""
SHORTEST = 12
"""Characters of a text that is looked for: a shorter one may stand in a log by chance."""
STATE = "data/cloudwatch_logs.json"
OTHERS = ("ministack.log", "sam.log")


def logged(folder: Path) -> Iterator[str]:
    """Every line in the logs of a stopped stack: of functions, machines, access and MiniStack."""
    yield from _strings(json.loads((folder / STATE).read_text()))
    for name in OTHERS:
        if (folder / name).exists():
            yield (folder / name).read_text(errors="replace")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)


def private_in(lines: Iterable[str], secrets: Iterable[str]) -> list[str]:
    """The texts and keys of `secrets`, and any key of the API, that stand in `lines`."""
    everything = "\n".join(lines)
    forms = {
        form: secret
        for secret in secrets
        if len(secret) >= SHORTEST
        for form in (
            secret,
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            json.dumps(json.dumps(secret)[1:-1])[1:-1],
        )
    }
    return sorted({secret for form, secret in forms.items() if form in everything}) + KEY.findall(
        everything
    )
