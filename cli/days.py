"""The days of a report, and the times of a list: options that several commands have."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from quorum.core.errors import InvalidRequest
from quorum.core.periods import end_of, start_of

Since = Annotated[
    datetime | None,
    typer.Option(
        "--from", formats=["%Y-%m-%d"], help="the first day, UTC (default: the month's first)"
    ),
]
Until = Annotated[
    datetime | None,
    typer.Option("--to", formats=["%Y-%m-%d"], help="the last day, UTC (default: today)"),
]


def _read(read: Callable[[str], object]) -> Callable[[str | None], str | None]:
    """A check of what `read` refuses; the deployment is told the option as it was written."""

    def check(written: str | None) -> str | None:
        if written is not None:
            try:
                read(written)
            except InvalidRequest as error:
                said = str(error).partition(": ")[2]
                raise typer.BadParameter(said.partition(" (")[0]) from None  # an address's own
        return written

    return check


SinceMoment = Annotated[
    str | None,
    typer.Option(
        "--from",
        callback=_read(start_of),
        help="the first day, UTC, or a time as 2026-11-27T09:30:00Z (default: the month's first)",
    ),
]
UntilMoment = Annotated[
    str | None,
    typer.Option(
        "--to",
        callback=_read(end_of),
        help="the last day, UTC, or a time that is not included (default: today)",
    ),
]


def query(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The days that are named, as the API's parameters."""
    days = {"from": since, "to": until}
    return {name: day.date().isoformat() for name, day in days.items() if day is not None}
