"""Periods: from one moment to before another, each written as a day or as a time. Pure.

A day counts whole, in UTC: as the first it begins the period, as the last it still belongs to it.
A time is RFC 3339 with its zone: as the first it belongs to the period, as the last it does not.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple, Self

from quorum.core.errors import InvalidRequest

PERIOD_FORM = "YYYY-MM-DD, or YYYY-MM-DDThh:mm:ss with Z or an offset"
"""The two ways to write where a period begins or ends."""
LENGTH_LIMIT = 64
"""Characters of such a text."""
STEP = timedelta(microseconds=1)
"""The least time between two moments that are stored."""
_DAY = timedelta(days=1)
_WRITTEN = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2}))?"
)
_STORED_DIGITS = 6


class Period(NamedTuple):
    """The moments from `start` to before `end`, both in UTC."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Self:
        """All of the days from the first to the last, in UTC."""
        return cls(_midnight(first), _midnight(last) + _DAY)

    @property
    def last(self) -> datetime:
        """The last moment."""
        return self.end - STEP


def start_of(written: str, field: str = "from") -> datetime:
    """The first moment of a period that begins as written; raises `InvalidRequest`."""
    return _read(written, field)


def end_of(written: str, field: str = "to") -> datetime:
    """The first moment after a period that ends as written; raises `InvalidRequest`."""
    return _read(written, field, ends=True)


def _read(written: str, field: str, *, ends: bool = False) -> datetime:
    """The moment as written; of a day its first one, or the next day's if that `ends` a period."""
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise _invalid(field)
    day, clock, fraction, zone = found.groups()
    try:
        if clock is None:
            return _midnight(date.fromisoformat(day)) + (_DAY if ends else timedelta())
        offset = "+00:00" if zone in {"Z", "z"} else zone
        moment = datetime.fromisoformat(f"{day}T{clock}{offset}").astimezone(UTC)
        moment += _microseconds(fraction or "")
        return moment - STEP + STEP if ends else moment  # nothing is before the first of all
    except (ValueError, OverflowError):
        raise _invalid(field) from None


def _invalid(field: str) -> InvalidRequest:
    return InvalidRequest(
        f"{field}: must be a day, such as 2026-12-31, or a time with its zone, such as"
        f" 2026-12-31T12:00:00Z (the + of an offset is written %2B in an address)",
        code=f"invalid_{field}",
        field=field,
        limit=PERIOD_FORM,
    )


def _microseconds(fraction: str) -> timedelta:
    """The microseconds of a fraction of a second; a part of one counts as one.

    Stored moments have whole ones, so that both ends of a period stay where they are.
    """
    stored, rest = fraction[:_STORED_DIGITS], fraction[_STORED_DIGITS:]
    return timedelta(microseconds=int(stored.ljust(_STORED_DIGITS, "0"))) + (
        STEP if rest.strip("0") else timedelta()
    )


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
