"""The stand-in's answers about documents: a translation is the document itself."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_ASKED = "The document is in the next message"
_CATEGORIES = re.compile(r"fits it best: (\[.*?\])\. Answer")
_EXCERPT = 60


def answer(messages: Sequence[Mapping[str, str]]) -> str | None:
    """The answer about the document in `messages`; None if they contain none.

    A summary is the document's beginning and end; its category the first that it names;
    extracted values are its lines of the form `name: value`.
    """
    if len(messages) <= 1 or _ASKED not in messages[0]["content"]:
        return None
    instructions = messages[0]["content"]
    text = str(json.loads(messages[1]["content"].split("\n")[1]))
    if instructions.startswith("Translate"):
        return text
    if instructions.startswith("Put"):
        return _category(instructions, text)
    if "The schema:" in instructions:
        return _extracted(instructions, text)
    return f"{text[:_EXCERPT].strip()} … {text[-_EXCERPT:].strip()}"


def _category(instructions: str, text: str) -> str:
    listed = _CATEGORIES.search(instructions)
    categories: list[str] = json.loads(listed[1]) if listed else ["none"]
    named = [category for category in categories if category.casefold() in text.casefold()]
    return json.dumps({"category": (named or categories)[0]}, ensure_ascii=False)


def _extracted(instructions: str, text: str) -> str:
    written = instructions.partition("The schema:\n")[2].split("\n\n")[0]
    properties: dict[str, Any] = json.loads(written)["properties"]
    return json.dumps(
        {name: _found(name, part, text) for name, part in properties.items()}, ensure_ascii=False
    )


def _found(name: str, part: Mapping[str, Any], text: str) -> Any:
    found = [one.strip() for one in re.findall(rf"^{re.escape(name)}: (.*)$", text, re.MULTILINE)]
    kinds = part.get("type", ())
    if "array" in kinds:
        return found
    if not found:
        return None
    return int(found[0]) if "integer" in kinds and found[0].isdigit() else found[0]
