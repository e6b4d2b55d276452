"""Periods: days count whole, times are RFC 3339, and everything else is refused by its field."""

from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quorum.core.errors import InvalidRequest
from quorum.core.periods import LENGTH_LIMIT, Period, end_of, start_of

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_time_is_the_moment_that_it_names_in_whatever_zone(moment: datetime) -> None:
    assert start_of(moment.isoformat()) == end_of(moment.isoformat()) == moment


@given(st.dates(max_value=date(9999, 12, 30)))
def test_a_day_is_whole_at_both_ends(day: date) -> None:
    period = Period(start_of(day.isoformat()), end_of(day.isoformat()))
    assert period == Period.of_days(day, day)
    assert period.start.date() == period.last.date() == day
    assert period.end - period.start == timedelta(days=1)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00+00:00"),
        ("2026-11-20t12:00:00z", "2026-11-20T12:00:00+00:00"),
        ("2026-11-20T12:00:00-00:00", "2026-11-20T12:00:00+00:00"),
        ("2026-11-20T00:30:00+09:00", "2026-11-19T15:30:00+00:00"),
        ("2026-11-20T12:00:00.5Z", "2026-11-20T12:00:00.500000+00:00"),
        ("2026-11-20T12:00:00.123456000Z", "2026-11-20T12:00:00.123456+00:00"),
        # Stored moments have whole microseconds: the first one at or after it.
        ("2026-11-20T12:00:00.123456001Z", "2026-11-20T12:00:00.123457+00:00"),
        ("2026-11-20T23:59:59.999999999Z", "2026-11-21T00:00:00+00:00"),
    ],
)
def test_a_time_may_be_written_as_rfc_3339_has_it(written: str, expected: str) -> None:
    assert start_of(written).isoformat() == end_of(written).isoformat() == expected


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "yesterday", "2026-11", "2026-11-20T12:00:00", "2026-11-20T12:00Z"),
        *("2026-11-20 12:00:00Z", "2026-11-20T12:00:00 09:00", "2026-11-20T12:00:00+0900"),
        *("20261120", "20261120T120000Z", "2026-W47-5", "2026-02-30", "2026-11-20T24:00:00Z"),
        *("2026-11-20T12:00:60Z", "2026-11-20T12:00:00+99:00", "2026-11-20T12:00:00.Z"),
        *("2026-11-20T12:00:00,5Z", "2026-11-20T12:00:00.1234567890Z", "0000-01-01", "-2026-1-1"),
        *("2026-11-20\n", "２０２６-11-20", "1763640000", "0001-01-01T00:00:00+01:00"),
        *("9999-12-31T23:59:59-01:00", "9999-12-31T23:59:59.999999999Z"),
    ],
)
@pytest.mark.parametrize(("read", "field"), [(start_of, "from"), (end_of, "to")])
def test_whatever_is_neither_is_refused_and_the_field_is_named(
    read: Callable[[str], datetime], field: str, written: str
) -> None:
    with pytest.raises(InvalidRequest, match=f"^{field}: must be a day") as refused:
        read(written)
    assert (refused.value.field, refused.value.code) == (field, f"invalid_{field}")
    assert "YYYY-MM-DD" in str(refused.value.limit)


@pytest.mark.parametrize("written", ["9999-12-31", "0001-01-01T00:00:00Z"])
def test_no_period_ends_before_or_after_all_moments(written: str) -> None:
    with pytest.raises(InvalidRequest):
        end_of(written)


@given(st.text(max_size=LENGTH_LIMIT) | st.from_regex(r"[0-9TZtz:+.-]{1,40}", fullmatch=True))
def test_any_text_is_a_moment_or_refused(written: str) -> None:
    for read in (start_of, end_of):
        with suppress(InvalidRequest):
            assert read(written).utcoffset() == timedelta()
