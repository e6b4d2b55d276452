"""The text of an HTML page as its reader sees it."""

import re
from collections.abc import Iterator
from typing import Any

from selectolax.lexbor import LexborHTMLParser

from quorum.core.errors import DocumentUnreadable
from quorum.document.numbering import in_letters, in_roman
from quorum.document.text_writer import TextWriter

_DEPTH = 500
"""Levels of nested elements; pages that people write have a few dozen."""

_SKIPPED = frozenset((
    "script", "style", "template", "noscript", "iframe", "object", "svg", "canvas", "head",
    "audio", "video", "datalist", "rp", "annotation", "annotation-xml",
))  # fmt: skip
_PARAGRAPHS = frozenset((
    "p", "h1", "h2", "h3", "h4", "h5", "h6", "dl", "blockquote", "pre", "hr", "fieldset",
))  # fmt: skip
_LINES = frozenset((
    "div", "section", "article", "header", "footer", "main", "nav", "aside", "address", "form",
    "hgroup", "search", "details", "summary", "dialog", "body", "dt", "dd", "br", "figure",
    "figcaption", "caption", "legend", "optgroup", "menu",
))  # fmt: skip
_CONTROLS = frozenset(("button", "option", "select", "textarea"))
_STRUCK = frozenset(("del", "s", "strike"))
_SCRIPTS = frozenset(("sup", "sub"))
_VALUES = frozenset((
    "text", "search", "email", "tel", "url", "number", "date", "month", "week", "time",
    "datetime-local", "button", "submit", "reset",
))  # fmt: skip
"""Types of inputs whose value is shown unchanged."""
_CHECKS = frozenset(("checkbox", "radio"))
_HIDDEN = re.compile(
    r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)"
    r"|(?:opacity|font-size)\s*:\s*(?:0+(?:\.0*)?|\.0+)\s*(?:px|pt|r?em|%)?\s*(?:;|!|$))",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def html_text(page: str) -> str:
    """The visible text: one line for each line, a blank line between paragraphs.

    Hidden text is left out, but text that opens at a click is kept. Raises `DocumentUnreadable`.
    """
    body = LexborHTMLParser(page).body
    written = _Page()
    for node, begins in _walked(body) if body is not None else ():
        written.take(node, begins=begins)
    return written.writer.text()


def _walked(top: Any) -> Iterator[tuple[Any, bool]]:
    """Every visible node twice, at its beginning (True) and at its end."""
    node, depth = top, 0
    while True:
        shown = not _is_hidden(node)
        if shown:
            yield node, True
        if shown and node.child is not None:
            node, depth = node.child, depth + 1
            if depth > _DEPTH:
                raise DocumentUnreadable(
                    "the page's elements are nested too deeply", code="too_complex", limit=_DEPTH
                )
            continue
        if shown:
            yield node, False
        while depth and node.next is None:
            node, depth = node.parent, depth - 1
            yield node, False
        if not depth:
            return
        node = node.next


def _is_hidden(node: Any) -> bool:
    tag = node.tag
    if tag is None or tag in _SKIPPED:  # None: an instruction to a processor, as <?php … ?>
        return True
    if tag.startswith("-"):
        return False
    attributes = node.attributes
    if tag == "dialog" and "open" not in attributes:
        return True
    if not attributes:
        return False
    if "hidden" in attributes and (attributes["hidden"] or "").lower() != "until-found":
        return True
    style = attributes.get("style")
    return bool(style and _HIDDEN.search(_COMMENT.sub("", style)))


class _Page:
    """A page whose nodes are visited one by one."""

    def __init__(self) -> None:
        self.writer = TextWriter()
        self._lists: list[_List] = []

    def take(self, node: Any, *, begins: bool) -> None:
        """Take the beginning or the end of a node."""
        tag, writer = node.tag, self.writer
        if tag == "-text":
            if begins:
                writer.write(node.text_content or "")
        elif tag in _PARAGRAPHS:
            if tag == "pre":
                writer.preformat(begins=begins)
            writer.paragraph()
        elif tag in _LINES:
            writer.line()
        elif tag in _STRUCK:
            writer.strike(begins=begins)
        elif tag in _SCRIPTS:
            writer.open_script(tag) if begins else writer.close_script()
        elif tag in _CONTROLS:
            writer.put_break(" ")
        elif begins:
            self._begin(tag, node)
        else:
            self._end(tag)

    def _begin(self, tag: str, node: Any) -> None:
        writer = self.writer
        match tag:
            case "ul" | "ol":
                self._break_for_list()
                self._lists.append(_List(node) if tag == "ol" else _List())
            case "li":
                writer.line()
                depth = "  " * (len(self._lists) - 1)
                writer.mark_item(depth + (self._lists[-1].next(node) if self._lists else "- "))
            case "table":
                writer.open_table()
            case "tr":
                writer.open_row()
            case "td" | "th":
                writer.open_cell(columns=_number(node, "colspan"), rows=_number(node, "rowspan"))
            case "input":
                self._input(node)
            case "q":
                writer.write("“")
            case "rt":
                writer.keep("(")

    def _end(self, tag: str) -> None:
        writer = self.writer
        match tag:
            case "ul" | "ol":
                self._lists.pop()
                self._break_for_list()
            case "li":
                writer.end_item()
                writer.line()
            case "table":
                writer.close_table()
            case "tr":
                writer.close_row()
            case "td" | "th":
                writer.close_cell()
            case "q":
                writer.keep("”")
            case "rt":
                writer.keep(")")

    def _break_for_list(self) -> None:
        if self._lists:
            self.writer.line()
        else:
            self.writer.paragraph()

    def _input(self, node: Any) -> None:
        kind = (node.attributes.get("type") or "text").lower()
        if kind in _CHECKS:
            self.writer.put_break(" ")
            self.writer.write("[x] " if "checked" in node.attributes else "[ ] ")
        elif kind in _VALUES:
            self.writer.put_break(" ")
            self.writer.write(f"{node.attributes.get('value') or ''} ")


class _List:
    """A list with or without numbers."""

    def __init__(self, node: Any = None) -> None:
        self._numbered = node is not None
        self._step = 1
        if node is not None:
            attributes = node.attributes
            self._kind = attributes.get("type") or "1"
            self._step = -1 if "reversed" in attributes else 1
            start = _count_of(node) if self._step < 0 else 1
            self._next = _number(node, "start", start)

    def next(self, item: Any) -> str:
        """The number or bullet of the next item."""
        if not self._numbered:
            return "- "
        number = _number(item, "value", self._next)
        self._next = number + self._step
        match self._kind:
            case "a" | "A":
                shown = in_letters(number)
            case "i" | "I":
                shown = in_roman(number)
            case _:
                shown = str(number)
        return f"{shown.upper() if self._kind in 'AI' else shown}. "


def _count_of(node: Any) -> int:
    return sum(child.tag == "li" for child in node.iter())


def _number(node: Any, name: str, otherwise: int = 1) -> int:
    """The number in an attribute; `otherwise` if it holds none."""
    given = re.match(r"\s*(-?\d{1,9})", node.attributes.get(name) or "")
    return int(given[1]) if given else otherwise
