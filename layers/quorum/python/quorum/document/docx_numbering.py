"""The lists and styles of a Word document: numbers of items, and hidden text."""

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree.ElementTree import Element

from quorum.document.numbering import in_format

LEVELS = 9
"""Levels of a list in WordprocessingML."""
_BASED_ON_LIMIT = 20
"""Styles of a chain in which each is based on the next."""


class _Level(NamedTuple):
    """The numbering of one level of a list."""

    form: str
    text: str
    start: int
    legal: bool


class Numbering:
    """The numbers of lists, counted item by item."""

    def __init__(self, root: Element | None) -> None:
        self._abstract: dict[str, Element] = {}
        self._of: dict[str, str] = {}
        self._overrides: dict[tuple[str, int], Element] = {}
        self._counts: dict[str, list[int | None]] = {}
        self._begun: set[tuple[str, int]] = set()
        if root is None:
            return
        self._abstract = {one.get("abstractNumId", ""): one for one in root.iter("abstractNum")}
        styled = {
            link.get("val", ""): key
            for key, one in self._abstract.items()
            for link in one.iter("styleLink")
        }
        for number in root.iter("num"):
            name, abstract = number.get("numId", ""), value_of(number, "abstractNumId")
            link = value_of(self._abstract.get(abstract), "numStyleLink")
            self._of[name] = styled.get(link, abstract)
            for override in number.iter("lvlOverride"):
                self._overrides[name, integer(override.get("ilvl"))] = override

    def mark(self, name: str, level: int) -> str:
        """The number or bullet of a list's next item; "" if it has none."""
        found = self._level(name, level)
        if found is None:
            return ""
        counts = self._counts.setdefault(self._of[name], [None] * LEVELS)
        restarted = self._restart(name, level)
        count = counts[level]
        counts[level] = found.start if restarted or count is None else count + 1
        counts[level + 1 :] = [None] * (LEVELS - level - 1)
        if found.form == "bullet":
            return "- "
        return self._written(name, found, counts)

    def _restart(self, name: str, level: int) -> bool:
        override = self._overrides.get((name, level))
        if override is None or override.find("startOverride") is None:
            return False
        first = (name, level) not in self._begun
        self._begun.add((name, level))
        return first

    def _written(self, name: str, found: _Level, counts: list[int | None]) -> str:
        text = found.text
        for level in range(LEVELS):
            mark = f"%{level + 1}"
            if mark in text:
                of = self._level(name, level) or found
                number = counts[level] if counts[level] is not None else of.start
                form = "decimal" if found.legal else of.form
                text = text.replace(mark, in_format(number or 0, form))
        return f"{text} " if text.strip() else ""

    def _level(self, name: str, level: int) -> _Level | None:
        abstract = self._abstract.get(self._of.get(name, ""))
        if abstract is None or not 0 <= level < LEVELS:
            return None
        override = self._overrides.get((name, level))
        written = override.find("lvl") if override is not None else None
        if written is None:
            wanted = str(level)
            written = next((one for one in abstract.iter("lvl") if one.get("ilvl") == wanted), None)
        if written is None:
            return None
        start = integer(value_of(written, "start"), 1 if written.find("start") is not None else 0)
        replaced = value_of(override, "startOverride")
        return _Level(
            form=value_of(written, "numFmt") or "decimal",
            text=value_of(written, "lvlText"),
            start=integer(replaced, start) if replaced else start,
            legal=is_on(written.find("isLgl")),
        )


class Styles:
    """The properties of styles about lists and hidden text; a style inherits from its base."""

    def __init__(self, root: Element | None) -> None:
        found = root.iter("style") if root is not None else ()
        self._styles = {style.get("styleId", ""): style for style in found}

    def number(self, name: str) -> tuple[str, int] | None:
        """The list and level of a paragraph in such a style."""
        level: int | None = None
        for style in self._chain(name):
            properties = style.find("pPr/numPr")
            if properties is None:
                continue
            if level is None and properties.find("ilvl") is not None:
                level = integer(value_of(properties, "ilvl"))
            if listed := value_of(properties, "numId"):
                return listed, level or 0
        return None

    def is_hidden(self, name: str) -> bool:
        """Whether text in such a style is hidden."""
        for style in self._chain(name):
            vanish = style.find("rPr/vanish")
            if vanish is not None:
                return is_on(vanish)
        return False

    def _chain(self, name: str) -> Iterator[Element]:
        for _ in range(_BASED_ON_LIMIT):
            style = self._styles.get(name)
            if style is None:
                return
            yield style
            name = value_of(style, "basedOn")


def value_of(element: Element | None, name: str) -> str:
    """The value of a property inside an element; "" if there is none."""
    found = element.find(name) if element is not None else None
    return found.get("val", "") if found is not None else ""


def integer(text: str | None, otherwise: int = 0) -> int:
    """The number in an attribute; `otherwise` if it holds none."""
    try:
        return int(text or "")
    except ValueError:
        return otherwise


def is_on(element: Element | None) -> bool:
    """Whether a property that is on or off is on."""
    return element is not None and element.get("val", "true").lower() not in {"0", "false", "off"}
