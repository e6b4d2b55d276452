"""Templates and files of the console, from the folder of its function.

Every value is escaped where it is shown: no template marks anything as safe, and nothing is shown
inside of a script, a style or an attribute that the browser runs.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from quorum.console.answers import KEPT_FOR_EVER, Answer
from quorum.console.reasons import told
from quorum.console.texts import visible

STATIC = "static"
_HASH_DIGITS = 12
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".svg": "image/svg+xml",
    }
)
_CENT = Decimal("0.01")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class Rendering:
    """The templates and the static files in a folder, each read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def page(self, template: str, values: Mapping[str, object]) -> str:
        """A template with its values."""
        return self._templates.get_template(template).render(values)

    def file_path(self, name: str) -> str:
        """The path of a static file within the console, with the hash of what is in it."""
        digest = sha256(self._files[name].encode()).hexdigest()[:_HASH_DIGITS]
        return f"{STATIC}/{digest}/{name}"

    def file(self, path: str) -> Answer | None:
        """The static file at a path, None if there is none."""
        name = path.rpartition("/")[2]
        if name not in self._files or path != self.file_path(name):
            return None
        media_type = _TYPES[Path(name).suffix]
        return Answer(HTTPStatus.OK, self._files[name], media_type, KEPT_FOR_EVER)

    @cached_property
    def _files(self) -> dict[str, str]:
        folder = self._folder / STATIC
        return {
            file.name: file.read_text(encoding="utf-8")
            for file in folder.iterdir()
            if file.suffix in _TYPES
        }

    @cached_property
    def _templates(self) -> Environment:
        environment = Environment(
            loader=FileSystemLoader(self._folder / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.filters |= {
            "decimals": decimals,
            "dollars": dollars,
            "duration": duration,
            "fact": fact,
            "instant": datetime.fromisoformat,
            "moment": moment,
            "score": score,
            "told": told,
            "visible": visible,
        }
        return environment


def dollars(amount: Decimal, places: int | None = None) -> str:
    """Dollars with cents; with all their digits, up to six, below a cent; or with `places`."""
    return f"${amount:,.{decimals((amount,)) if places is None else places}f}"


def decimals(amounts: Iterable[Decimal]) -> int:
    """The digits with which the amounts of a column are all shown."""
    small = [f"{amount:.6f}".rstrip("0") for amount in amounts if 0 < amount < _CENT]
    return max([2, *(len(digits.partition(".")[2]) for digits in small)])


def duration(seconds: float) -> str:
    """Hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))


def fact(value: object) -> str:
    """A value of an entry of the audit trail: times to the minute, lists with commas."""
    if isinstance(value, str):
        if _INSTANT.fullmatch(value):
            return f"{moment(datetime.fromisoformat(value))} UTC"
        return value
    if isinstance(value, list | tuple):
        return ", ".join(fact(one) for one in value)
    return "–" if value is None else str(value)


def moment(when: datetime) -> str:
    """A time to the minute, in UTC."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M}"


def score(share: float) -> str:
    """A score with two digits."""
    return f"{share:.2f}"
