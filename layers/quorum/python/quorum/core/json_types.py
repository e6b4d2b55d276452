"""Fields that take JSON's own kind of value: neither "5" nor true is a number. Pure."""

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
WholeNumber = Annotated[int, _told("int_type", str, bool)]
"""A whole number; 5.0 is one, too."""
Number = Annotated[float, _told("float_type", str, bool)]
Moment = Annotated[AwareDatetime, BeforeValidator(lambda value: _written(value, "datetime_type"))]
"""A time with its zone, as text: 2026-12-31T12:00:00Z."""
Day = Annotated[date, BeforeValidator(lambda value: _written(value, "date_type"))]
"""A day, as text: 2026-12-31."""
