"""How large a content and its context may be, measured on what voters are shown. Pure.

That is the normalised text: one character can become eighteen when it is normalised, and one
character can cost several tokens. Neither the length as sent nor the length as shown bounds what a
request costs.
"""

from collections.abc import Iterable
from typing import NamedTuple

from quorum.core.models import CONTENT_LIMIT, CONTEXT_LIMIT
from quorum.core.normalise import normalise
from quorum.gateway import tokenizer

TOKEN_LIMIT = 32_768
"""Tokens of one content in `o200k_base`: one for each character allowed. Other vendors' counts
differ by `registry.Model.token_factor`, at most a fifth."""

CONTEXT_TOKEN_LIMIT = 4_096
"""Tokens of a context's texts together, in `o200k_base`: one for each character allowed."""


class TooLarge(NamedTuple):
    """The limit that a text breaks, and a sentence that says so."""

    limit: int
    message: str


def too_large(text: str) -> TooLarge | None:
    """The limit that `text` breaks as sent or once normalised; None if it may be judged."""
    if len(text) > CONTENT_LIMIT:
        return TooLarge(
            CONTENT_LIMIT, f"must have at most {CONTENT_LIMIT} characters; it has {len(text)}"
        )
    shown = normalise(text).text
    if len(shown) > CONTENT_LIMIT:
        return TooLarge(
            CONTENT_LIMIT,
            f"must have at most {CONTENT_LIMIT} characters once Unicode's compatibility forms are "
            f"written out; it has {len(shown)}",
        )
    # Counting loads the vocabulary. A token is at least one byte, so most texts need no count.
    if len(shown.encode()) <= TOKEN_LIMIT:
        return None
    tokens = tokenizer.count_text(shown)
    if tokens > TOKEN_LIMIT:
        return TooLarge(
            TOKEN_LIMIT,
            f"must have at most {TOKEN_LIMIT} tokens (o200k_base); it has {tokens}",
        )
    return None


def context_too_large(texts: Iterable[str]) -> TooLarge | None:
    """The limit that the `texts` of a context break together, once normalised; None if none."""
    shown = [normalise(text).text for text in texts]
    characters = sum(map(len, shown))
    if characters > CONTEXT_LIMIT:
        return TooLarge(
            CONTEXT_LIMIT,
            f"must have at most {CONTEXT_LIMIT} characters in all its texts once Unicode's "
            f"compatibility forms are written out; it has {characters}",
        )
    if sum(len(text.encode()) for text in shown) <= CONTEXT_TOKEN_LIMIT:
        return None
    tokens = sum(map(tokenizer.count_text, shown))
    if tokens > CONTEXT_TOKEN_LIMIT:
        return TooLarge(
            CONTEXT_TOKEN_LIMIT,
            f"must have at most {CONTEXT_TOKEN_LIMIT} tokens (o200k_base) in all its texts; "
            f"it has {tokens}",
        )
    return None
