"""`make licences`: name, version, licence and author of every package in every layer.

They are read from the packages' own metadata, as installed from the lock. Libraries of the
console's pages are files of its function, each with its licence beside it.
"""

import re
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

LAYERS = Path(__file__).parents[1] / "layers"
PAGES = Path(__file__).parents[1] / "functions/console/static"
_VENDORED = re.compile(r"(.+)-(\d+\.\d+\.\d+)\.LICENSE\.txt")
_HOLDER = re.compile(r"Copyright \(c\) [\d-]+ (.+)")
_PINNED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
_LICENCE_FIELDS = ("License-Expression", "License")
_AUTHOR_FIELDS = ("Author", "Author-email", "Maintainer", "Maintainer-email", "Home-page")
_ADDRESS = re.compile(r"\s*<[^>]*>")
_SHOWN = 60
"""Characters of a licence field that names one; a longer field holds the licence's text."""


class Package(NamedTuple):
    """A package of a layer, as its metadata describes it."""

    layer: str
    name: str
    version: str
    licence: str
    author: str


def pinned(layer: Path) -> Iterator[Distribution]:
    """The installed packages that the layer's requirements pin."""
    for name, version in _PINNED.findall((layer / "requirements.txt").read_text()):
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # it is for another platform
        if found.version == version:  # else it is for another Python
            yield found


def packages() -> list[Package]:
    """The packages of all layers, layer by layer."""
    return [
        Package(
            layer.name,
            found.metadata["Name"],
            found.version,
            _licence(found),
            _author(found),
        )
        for layer in sorted(LAYERS.iterdir())
        if (layer / "requirements.txt").exists()
        for found in pinned(layer)
    ]


def vendored() -> Iterator[Package]:
    """The libraries that the console's pages load."""
    for file in sorted(PAGES.iterdir()):
        named = _VENDORED.fullmatch(file.name)
        if named is not None:
            text = file.read_text()
            holder = _HOLDER.search(text)
            author = holder[1] if holder else "its contributors"
            yield Package("console", named[1], named[2], text.splitlines()[0], author)


def _licence(found: Distribution) -> str:
    """The licence by expression, field or classifier, in this order."""
    facts = found.metadata
    stated = next((facts[name] for name in _LICENCE_FIELDS if name in facts), "")
    if stated and stated != "UNKNOWN" and len(stated) <= _SHOWN:
        return stated
    classified = [
        one.rpartition(" :: ")[2]
        for one in facts.get_all("Classifier", [])
        if one.startswith("License ::")
    ]
    return ", ".join(classified) or _first_line(found)


def _first_line(found: Distribution) -> str:
    """The first line of the licence file: its title."""
    for file in found.files or ():
        if file.name.upper().startswith(("LICENSE", "LICENCE", "COPYING")):
            lines = Path(str(found.locate_file(file))).read_text(errors="replace").splitlines()
            return next((line.strip() for line in lines if line.strip()), "not stated")
    return "not stated"


def _author(found: Distribution) -> str:
    """The author's name, else the maintainer's, else the project's page."""
    facts = found.metadata
    stated = [facts[name] for name in _AUTHOR_FIELDS if name in facts]
    pages = [str(page).rpartition(", ")[2] for page in facts.get_all("Project-URL", [])]
    named = (_ADDRESS.sub("", one) for one in (*stated, *pages))
    return next((one for one in named if one), "not stated")


def main() -> None:
    """Print a line for each package, in columns."""
    rows = [Package._fields, *packages(), *vendored()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
