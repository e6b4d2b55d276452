"""Fields that take JSON's own kind of value: neither "5" nor true is a number. Pure.

What tells a number's kind stands behind its limits, or the limits are not described.
"""

from datetime import date
from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator, StrictBool
from pydantic_core import PydanticKnownError


def _told(kind: Any, *refused: type) -> BeforeValidator:
    """A validator that refuses values of the `refused` types, with pydantic's error `kind`."""

    def check(value: Any) -> Any:
        if isinstance(value, refused):
            raise PydanticKnownError(kind)
        return value

    return BeforeValidator(check)


def _written(value: Any, kind: Any) -> Any:
    """`value`; raises pydantic's error `kind` for a number, which counts seconds since 1970."""
    if isinstance(value, int | float) or (isinstance(value, str) and "-" not in value[1:]):
        raise PydanticKnownError(kind)
    return value


TrueOrFalse = StrictBool
WHOLE_NUMBER = _told("int_type", str, bool)
"""Behind the limits of an `int` field: a whole number; 5.0 is one, too."""
NUMBER = _told("float_type", str, bool)
"""Behind the limits of a `float` field: a number."""
PROTO_WHOLE_NUMBER = _told("int_type", bool)
"""A whole number in Google's JSON, where it may be written as text."""
PROTO_NUMBER = _told("float_type", bool)
"""A number in Google's JSON, where it may be written as text."""
Moment = Annotated[AwareDatetime, BeforeValidator(lambda value: _written(value, "datetime_type"))]
"""A time with its zone, as text: 2026-12-31T12:00:00Z."""
Day = Annotated[date, BeforeValidator(lambda value: _written(value, "date_type"))]
"""A day, as text: 2026-12-31."""
