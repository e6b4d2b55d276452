"""A batch's record, and what it says of how far the batch is. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from quorum.core.models import Decision, Frozen

Source = Literal["items", "upload"]
"""Whether a batch's items came in its request or in an upload."""
State = Literal["receiving", "running", "paused", "complete", "incomplete", "cancelled"]


class Kind(StrEnum):
    """What a batch is of, and how it is worked through."""

    ITEMS = "items"
    """Contents of a request, one message each on the queue."""
    UPLOAD = "upload"
    """Contents of an upload, page by page in the bulk machine."""
    DOCUMENTS = "documents"
    """Documents of a request or of an upload, one message each on their own queue."""


class BatchRecord(Frozen):
    """What the table holds of a batch.

    Contents have the `panel` that judges them. Documents have `work`: JSON that only they read.
    `ended` is the number of the run that has ended last, 0 before. `amounts` are the counters that
    change when an item is settled, by name; each kind counts what it wants to show.
    """

    tenant: str
    batch: str
    kind: Kind
    source: Source
    created_at: str
    items: int
    received: bool = False
    panel: str | None = None
    work: str | None = None
    upload: str | None = None
    alert_usd: Decimal | None = None
    run: int = 1
    ended: int = 0
    execution: str | None = None
    cancelled_at: str | None = None
    paused_until: str | None = None
    alerted_at: str | None = None
    last_problem: str | None = None
    results: str | None = None
    settled: int = 0
    rejected: int = 0
    dead: int = 0
    last_settled_at: str | None = None
    amounts: Mapping[str, Decimal] = Field(default_factory=dict)

    @classmethod
    def of(cls, tenant: str, batch: str, item: Mapping[str, Any]) -> "BatchRecord":
        """The record in a table item."""
        facts = {name: value for name, value in item.items() if name in cls.model_fields}
        counted = {
            name: value
            for name, value in item.items()
            if name not in facts and isinstance(value, Decimal)
        }
        # Batches made before they said their kind are kept as long as any.
        kind = item.get("kind") or (Kind.DOCUMENTS if "work" in item else item["source"])
        return cls(tenant=tenant, batch=batch, amounts=counted, **facts | {"kind": kind})

    def count(self, name: str) -> int:
        """A counter; 0 before anything was counted in it."""
        return int(self.amounts.get(name, 0))

    @property
    def is_cancelled(self) -> bool:
        """Whether none of its items is to be begun any more."""
        return self.cancelled_at is not None

    @property
    def unsettled(self) -> int:
        """Items that nothing has become of yet."""
        return max(0, self.items - self.settled - self.rejected - self.dead)

    @property
    def pending(self) -> int:
        """Those of them that something will become of."""
        return 0 if self.is_cancelled else self.unsettled

    @property
    def items_per_second(self) -> float | None:
        """Items a second from the batch's beginning to the last item settled."""
        if not self.settled or self.last_settled_at is None:
            return None
        begun, last = map(datetime.fromisoformat, (self.created_at, self.last_settled_at))
        seconds = (last - begun).total_seconds()
        return self.settled / seconds if seconds > 0 else None

    def state(self, now: datetime) -> State:
        """How the batch is, at `now` (UTC)."""
        if self.is_cancelled:
            return "cancelled"
        if self.pending and (self.paused_until or "") > now.isoformat():
            return "paused"
        ended = self.ended == self.run
        if not self.received:
            return "incomplete" if ended else "receiving"
        if self.pending and not ended:
            return "running"
        return "incomplete" if self.dead or self.pending else "complete"


class BatchView(Frozen):
    """A batch as its tenant sees it. Dollars are what was paid, to the last digit.

    `state`: receiving → running → complete; or paused (a budget is spent; `paused_until`),
    incomplete (what is left waits for a redrive), cancelled. `hit_rate` is the share of votes or
    answers that came from the cache. Rates and estimates are None until enough items are settled
    to say.
    """

    id: str
    state: State
    source: Source
    panel: str | None = None
    created_at: str
    items: int
    settled: int
    decisions: dict[str, int]
    rejected: int
    dead: int
    pending: int
    cancelled: int
    calls: int
    cost_usd: Decimal
    cached_votes: int
    hit_rate: float | None
    saved_tokens: int
    saved_usd: Decimal
    items_per_second: float | None
    remaining_seconds: float | None
    remaining_cost_usd: Decimal | None
    alert_usd: Decimal | None = None
    alerted: bool = False
    paused_until: str | None = None
    last_problem: str | None = None
    results: str | None = None


def view_of(record: BatchRecord, paid: Decimal, now: datetime) -> BatchView:
    """A batch of contents that has cost `paid` dollars so far, at `now` (UTC)."""
    rate = record.items_per_second
    each = paid / record.settled if record.settled else None
    return BatchView(
        id=record.batch,
        state=record.state(now),
        created_at=record.created_at,
        decisions={str(decision): record.count(decision) for decision in Decision},
        pending=record.pending,
        cancelled=record.unsettled - record.pending,
        calls=record.count("calls"),
        cost_usd=paid,
        cached_votes=record.count("cached_votes"),
        hit_rate=hit_rate(record, "cached_votes"),
        saved_tokens=record.count("saved_tokens"),
        saved_usd=record.amounts.get("saved_usd", Decimal(0)),
        items_per_second=rate,
        remaining_seconds=record.pending / rate if rate else None,
        remaining_cost_usd=None if each is None else round(each * record.pending, 12),
        alerted=record.alerted_at is not None,
        paused_until=record.paused_until or None,
        **record.model_dump(include=_SHOWN),
    )


_SHOWN = {
    *("source", "panel", "items", "settled", "rejected", "dead"),
    *("alert_usd", "last_problem", "results"),
}
"""What the record's owner sees of it as it is."""


def hit_rate(record: BatchRecord, cached: str) -> float | None:
    """The share of answers that came from the cache, counted as `cached`; None without any."""
    kept = record.count(cached)
    asked = record.count("calls") + kept
    return kept / asked if asked else None
