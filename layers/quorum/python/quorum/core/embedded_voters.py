"""What the service has to know of the trained state of the embedded voters.

It is data beside the code, written with the weights (`training.installing`), so that other weights
need no change of code. A voter's function has the weights; all others know them by this.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated

from pydantic import StringConstraints

from quorum.core.models import Category, Frozen, LanguageCode

Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]


class Trained(Frozen):
    """One voter: its revision, the languages that it reads, the categories that it scores."""

    revision: Digest
    languages: tuple[LanguageCode, ...]
    categories: tuple[Category, ...]


class EmbeddedVoters(Frozen):
    """The embedded voters, and a digest of the files that they were trained to."""

    weights: Digest
    rules: Trained
    characters: Trained
    meaning: Trained


@cache
def installed() -> EmbeddedVoters:
    """The voters in the layer; raises `ValidationError` for a file that does not say all."""
    text = (files("quorum.core") / "embedded_voters.json").read_text(encoding="utf-8")
    return EmbeddedVoters.model_validate_json(text)
