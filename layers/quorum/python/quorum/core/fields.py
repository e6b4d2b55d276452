"""Field types that several kinds of requests share. Pure."""

import math
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from quorum.core.normalise import normalise
from quorum.core.unicode import without_surrogates

METADATA_VALUE_LIMIT = 256
"""Characters of one metadata value."""

METADATA_DIGITS = 38
"""Digits of one whole number in the metadata: as many as DynamoDB keeps exactly."""

_CONTROLS = {"Cc", "Zl", "Zp"}
"""Unicode's categories of control characters, and of separators of lines and paragraphs."""
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of what follows (Unicode Standard Annex #9)."""

DEPTH_LIMIT = 100
"""Objects and lists of a caller's JSON, one in another. Pydantic writes 255 and reads 200."""

AlertDollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=12)]
"""A sum to be warned at. DynamoDB keeps 38 digits of a number; these are at most 22."""


def whole(text: Any) -> Any:
    """`text` without halves of surrogate pairs, if it is a text: for fields that mean the rest."""
    return without_surrogates(text) if isinstance(text, str) else text


def not_blank(text: str) -> str:
    """`text`; raises `ValueError` if nothing of it is visible."""
    if not normalise(text).text:
        raise ValueError("must hold visible text, not only white space or hidden characters")
    return text


def one_line(text: str) -> str:
    """`text`; raises `ValueError` for characters that break a line or turn its direction.

    A name with such characters would look like another one in a list.
    """
    if any(_is_control(character) for character in text):
        raise ValueError("must be one line, without control characters")
    return text


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in _CONTROLS or character in _DIRECTIONS


def is_unicode(text: str) -> bool:
    """Whether no half of a surrogate pair stands alone in `text`."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def unicode_text(text: str) -> str:
    """`text`; raises `ValueError` if half of a surrogate pair stands alone in it."""
    if not is_unicode(text):
        raise ValueError("must be Unicode text: half of a surrogate pair stands alone")
    return text


UnicodeText = Annotated[str, AfterValidator(unicode_text)]
"""A text of any length. Pydantic looks at the characters of a text only where it has limits."""


def unkeepable(
    value: Any, *, number_limit: float = math.inf, depth: int = DEPTH_LIMIT
) -> str | None:
    """The first part of `value` that cannot be stored, in words; None if all can be.

    Numbers can be stored whose absolute value is below `number_limit`.
    Objects and lists are kept of which at most `depth` are one in another.
    """
    if depth == 0 and isinstance(value, Mapping | list):
        return f"more than {DEPTH_LIMIT} objects and lists one in another"
    match value:
        case str():
            return None if is_unicode(value) else "half a character (a lone surrogate)"
        case int() | float():
            if -number_limit < value < number_limit:
                return None
            return (
                "a number that is not finite"
                if number_limit == math.inf
                else f"a number that is not between ±{number_limit}"
            )
        case Mapping():
            parts: Iterable[Any] = (*value.keys(), *value.values())
        case list():
            parts = value
        case _:
            return None
    found = (unkeepable(part, number_limit=number_limit, depth=depth - 1) for part in parts)
    return next((held for held in found if held is not None), None)


def _simple(value: Any) -> Any:
    """`value` as it may be stored; raises `ValueError` with the limit it breaks."""
    if isinstance(value, str) and len(value) <= METADATA_VALUE_LIMIT:
        return unicode_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        if abs(value) >= 10**METADATA_DIGITS:
            raise ValueError(f"must be a whole number of at most {METADATA_DIGITS} digits")
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("must be a finite number")
        return value
    raise ValueError(
        f"must be a string (at most {METADATA_VALUE_LIMIT} characters), number, boolean or null"
    )


MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[Any, AfterValidator(_simple)]
