"""Field types that several kinds of requests share. Pure."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from quorum.core.normalise import normalise

METADATA_VALUE_LIMIT = 256
"""Characters of one metadata value."""

AlertDollars = Annotated[Decimal, Field(ge=0, le=1_000_000_000, decimal_places=12)]
"""A sum to be warned at. DynamoDB keeps 38 digits of a number; these are at most 22."""


def not_blank(text: str) -> str:
    """`text`; raises `ValueError` if nothing of it is visible."""
    if not normalise(text).text:
        raise ValueError("must hold visible text, not only white space or hidden characters")
    return text


def _simple(value: Any) -> Any:
    if isinstance(value, str) and len(value) <= METADATA_VALUE_LIMIT:
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ValueError(
        f"must be a string (at most {METADATA_VALUE_LIMIT} characters), number, boolean or null"
    )


MetadataName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[Any, AfterValidator(_simple)]
