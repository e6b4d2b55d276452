"""The days of a report: options that several commands have."""

from datetime import datetime
from typing import Annotated

import typer

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


def query(since: datetime | None, until: datetime | None) -> dict[str, str]:
    """The days that are named, as the API's parameters."""
    days = {"from": since, "to": until}
    return {name: day.date().isoformat() for name, day in days.items() if day is not None}
