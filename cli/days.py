"""The days of a report, and the times of a list: options that several commands have."""

from collections.abc import Callable
from datetime import date
from typing import Annotated

import typer
from quorum.core.errors import InvalidRequest
from quorum.core.periods import end_of, start_of


def day(written: str | None) -> str | None:
    """A day as the API's parameters have it; raises `typer.BadParameter` if it is none."""
    if written is None:
        return None
    try:
        return date.fromisoformat(written).isoformat()
    except ValueError:
        raise typer.BadParameter("must be a day, such as 2026-12-31") from None


Since = Annotated[
    str | None,
    typer.Option("--from", callback=day, help="the first day, UTC (default: the month's first)"),
]
Until = Annotated[
    str | None, typer.Option("--to", callback=day, help="the last day, UTC (default: today)")
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


def query(since: str | None, until: str | None) -> dict[str, str]:
    """The days that are named, as the API's parameters."""
    named = {"from": since, "to": until}
    return {name: one for name, one in named.items() if one is not None}
