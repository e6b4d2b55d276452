"""Votes of the embedded voters on rows that have a text but no such votes. They cost nothing."""

import re
from collections.abc import Callable, Collection
from importlib import import_module
from importlib.util import find_spec

import numpy as np
from quorum.core import registry
from quorum.core.models import CONTENT_LIMIT, CastVote, Content

from analysis.recorded import CODES, Recorded

_CODE = re.compile(r"^[a-z]{2,3}$")
"""A valid language of a content; any other value is replaced by detection."""


def available(recorded: Recorded) -> tuple[str, ...]:
    """The embedded voters that have no column yet and could vote on these rows."""
    if not any(text.strip() for text in recorded.texts):
        return ()
    return tuple(
        model.name
        for model in registry.voters()
        if model.kind == "embedded"
        and model.name not in recorded.voters
        and find_spec("embedded") is not None
        and find_spec(f"embedded.{model.name}") is not None
    )


def added(
    recorded: Recorded,
    voters: Collection[str],
    *,
    progress: Callable[[], None] = lambda: None,
) -> Recorded:
    """The rows with the votes of `voters`, cast now. One `progress` per row and voter."""
    decisions = np.zeros((len(recorded), len(voters)), dtype=np.int8)
    confidences = np.full((len(recorded), len(voters)), np.nan)
    for column, voter in enumerate(voters):
        vote = import_module(f"embedded.{voter}").vote
        for row, text in enumerate(recorded.texts):
            if text.strip():
                language = str(recorded.languages[row])
                cast = vote(
                    Content(
                        text=text[:CONTENT_LIMIT],
                        language=language if _CODE.match(language) else None,
                    )
                )
                if isinstance(cast, CastVote):
                    decisions[row, column] = CODES[cast.decision]
                    confidences[row, column] = cast.confidence
            progress()
    return recorded.with_votes(tuple(voters), decisions, confidences)
