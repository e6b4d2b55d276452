"""Charts: the figures of a page's table as the document that the browser draws from."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Literal

from quorum.ledger.costs import CostRow

Unit = Literal["usd", "share", "count"]


def every_day(rows: Sequence[CostRow]) -> list[CostRow]:
    """The rows of days in their order, and those between on which nothing was called."""
    known = {row.name: row for row in rows}
    if not known:
        return []
    first, last = (date.fromisoformat(end) for end in (min(known), max(known)))
    days = ((first + timedelta(days=at)).isoformat() for at in range((last - first).days + 1))
    return [known.get(day, CostRow(name=day)) for day in days]


def columns(labels: Sequence[str], series: Mapping[str, Sequence[float]], unit: Unit) -> str:
    """A column for each label and series; `series` are named as the page's reader names them."""
    named = [{"name": name, "values": list(values)} for name, values in series.items()]
    return _document(kind="columns", labels=list(labels), series=named, unit=unit)


def points(placed: Mapping[str, tuple[float, float]], x_name: str, y_name: str) -> str:
    """A point for each name, at a cost in dollars and a share."""
    return _document(
        kind="points",
        labels=list(placed),
        x=[x for x, _ in placed.values()],
        y=[y for _, y in placed.values()],
        names=[x_name, y_name],
    )


def _document(**fields: object) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
