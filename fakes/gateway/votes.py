"""The stand-in's votes: recorded ones for known texts, made-up ones for others."""

import csv
import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from quorum.core import registry
from quorum.core.errors import ModelUnknown
from quorum.core.normalise import normalise
from quorum.vote import packing
from quorum.vote.policy import INTRODUCTION

_UNSAFE_SHARE = 0.3
_REVIEW_SHARE = 0.05
_INVENTED = (" This", " answer", " is", " invented", " –")
_WORDS = [
    "the",
    "a",
    "text",
    "model",
    "answer",
    "one",
    "more",
    "time",
    "people",
    "will",
    "say",
    "that",
    "this",
    "is",
    "how",
    "it",
    "was",
    "made",
    "and",
    "they",
    "have",
    "all",
    "been",
    "there",
    "before",
    "we",
    "can",
    "see",
    "what",
    "comes",
    "next",
    "in",
    "our",
    "own",
    "words",
]

_PACKED = re.compile(r"^-----(\w+)-----\n(.*)$", re.MULTILINE)
"""A marker and a content of a pack."""


class RecordedVotes:
    """Votes by normalised text and model, as recorded; the columns may be named by an alias."""

    def __init__(self, votes: Mapping[str, Mapping[str, str]]) -> None:
        self._votes = votes

    @classmethod
    def load(cls, path: Path) -> "RecordedVotes":
        """Read a CSV with the columns `text` and one per model, whose cells are decisions."""
        votes: dict[str, dict[str, str]] = {}
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                named = {_known_as(column): cell for column, cell in row.items() if cell}
                votes[normalise(row["text"]).text] = named
        return cls(votes)

    def decision(self, model: str, text: str) -> str | None:
        """The decision of `model` (by its registry name) on `text`."""
        return self._votes.get(text, {}).get(model)


def _known_as(column: str) -> str:
    try:
        return registry.model(column).name
    except ModelUnknown:
        return column


def answer(
    model: str, messages: Sequence[Mapping[str, str]], seed: int, recorded: RecordedVotes | None
) -> str | None:
    """The vote asked for, as that model would write it; None when no vote is asked for."""
    if not messages or not messages[0].get("content", "").startswith(INTRODUCTION):
        return None
    told, shown = messages[0]["content"], messages[-1]["content"]
    vote: dict[str, Any]
    if told.endswith(packing.ANSWER):
        vote = {
            "votes": [
                {"text": marker, **_vote(model, told, json.loads(line), seed, recorded)}
                for marker, line in _PACKED.findall(shown)
            ]
        }
    else:
        vote = _vote(model, told, _content(shown), seed, recorded)
    written = json.dumps(vote, ensure_ascii=False)
    fenced = registry.model(model).reply_format is registry.ReplyFormat.INSTRUCTIONS
    return f"```json\n{written}\n```" if fenced else written


def _vote(
    model: str, told: str, text: str, seed: int, recorded: RecordedVotes | None
) -> dict[str, Any]:
    """The vote on one content: the recorded one, else one that is drawn, the same each time."""
    randomness = random.Random(_seed(seed, model, text))
    drawn = randomness.random()
    known = recorded.decision(model, text) if recorded else None
    decision = known or (
        "unsafe"
        if drawn < _UNSAFE_SHARE
        else "needs_review"
        if drawn < _UNSAFE_SHARE + _REVIEW_SHARE
        else "safe"
    )
    return {
        "decision": decision,
        "confidence": round(randomness.uniform(0.6, 0.99), 2),
        "categories": [{"name": _category(told, text), "score": 0.8}]
        if decision == "unsafe"
        else [],
        "reason": "recorded earlier" if known else "invented by the stand-in",
    }


def _category(told: str, text: str) -> str:
    """One of the policy's own categories, if the text has its name in it, else harassment."""
    own = re.search(r"^- this platform's own: (.+)$", told, re.MULTILINE)
    named = [] if own is None else [name for name in own[1].split(", ") if name in text]
    return named[0] if named else "harassment"


def prose(messages: Sequence[Mapping[str, str]], seed: int, tokens: int) -> list[str]:
    """An answer of as many pieces as `tokens`, each one token, the same for the same prompt.

    It begins by saying that it is invented, unless it is too short to say anything else.
    """
    randomness = random.Random(_seed(seed, *(message["content"] for message in messages)))
    begun = _INVENTED if tokens >= 2 * len(_INVENTED) else ()
    return [*begun, *(f" {randomness.choice(_WORDS)}" for _ in range(tokens - len(begun)))]


def _content(message: str) -> str:
    """The text between the marker lines of a vote's prompt."""
    lines = message.split("\n")
    try:
        return str(json.loads(lines[1]))
    except (IndexError, ValueError):
        return message


def _seed(seed: int, *parts: str) -> int:
    return int.from_bytes(hashlib.sha256("\0".join((str(seed), *parts)).encode()).digest()[:8])
