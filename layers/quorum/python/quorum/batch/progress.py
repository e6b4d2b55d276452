"""A batch's record, and the progress computed from it. Pure."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from quorum.core.models import Decision, Frozen, Money

Source = Literal["items", "upload"]
"""Whether the items came in the request or in an upload."""
State = Literal["receiving", "running", "paused", "complete", "incomplete", "cancelled"]


class Kind(StrEnum):
    """The kind of a batch: where its items come from and which worker settles them."""

    ITEMS = "items"
    """Contents of a request, one message each on the queue."""
    UPLOAD = "upload"
    """Contents of an upload, settled page by page by the bulk state machine."""
    DOCUMENTS = "documents"
    """Documents of a request or of an upload, one message each on their own queue."""


class BatchRecord(Frozen):
    """A batch as the table holds it.

    Contents have a `panel` and a `policy` (name@version); documents have `work`, which is JSON that
    only `document/` reads.
    `ended` is the number of the last run that ended, 0 before. `problem_passes` says that the last
    problem is an outage; `waits` is how often the run waited for its end since `done_at_wait` items
    were done. `amounts` are the other counters,
    by name; each kind of batch adds its own when an item is settled.
    """

    tenant: str
    batch: str
    kind: Kind
    source: Source
    created_at: str
    items: int
    received: bool = False
    panel: str | None = None
    policy: str | None = None
    work: str | None = None
    upload: str | None = None
    alert_usd: Money | None = None
    run: int = 1
    ended: int = 0
    execution: str | None = None
    cancelled_at: str | None = None
    paused_until: str | None = None
    alerted_at: str | None = None
    last_problem: str | None = None
    problem_passes: bool = False
    waits: int = 0
    done_at_wait: int = 0
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
        # Records of earlier versions have no kind.
        kind = item.get("kind") or (Kind.DOCUMENTS if "work" in item else item["source"])
        return cls(tenant=tenant, batch=batch, amounts=counted, **facts | {"kind": kind})

    def count(self, name: str) -> int:
        """A counter; 0 before anything was counted in it."""
        return int(self.amounts.get(name, 0))

    @property
    def is_cancelled(self) -> bool:
        """Whether no more of its items may be begun."""
        return self.cancelled_at is not None

    @property
    def unsettled(self) -> int:
        """Items that are neither settled, rejected nor dead."""
        return max(0, self.items - self.settled - self.rejected - self.dead)

    @property
    def pending(self) -> int:
        """Unsettled items that will be worked on: none of a cancelled batch."""
        return 0 if self.is_cancelled else self.unsettled

    @property
    def items_per_second(self) -> float | None:
        """Items per second, from the batch's beginning to the last settled item."""
        if not self.settled or self.last_settled_at is None:
            return None
        begun, last = map(datetime.fromisoformat, (self.created_at, self.last_settled_at))
        seconds = (last - begun).total_seconds()
        return self.settled / seconds if seconds > 0 else None

    def state(self, now: datetime) -> State:
        """The state at `now` (UTC)."""
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
    """A batch as its tenant sees it. Dollars are exact.

    `state`: receiving → running → complete; or paused (a budget is spent; `paused_until`),
    incomplete (the rest waits for a redrive), cancelled. `hit_rate` is the share of votes or
    answers that came from the cache. Rates and estimates are None until enough items are settled.
    """

    id: str
    state: State
    source: Source
    panel: str | None = None
    policy: str | None = None
    created_at: str
    items: int
    settled: int
    decisions: dict[str, int]
    rejected: int
    dead: int
    pending: int
    cancelled: int
    calls: int
    cost_usd: Money
    cached_votes: int
    hit_rate: float | None
    saved_tokens: int
    saved_usd: Money
    items_per_second: float | None
    remaining_seconds: float | None
    remaining_cost_usd: Money | None
    alert_usd: Money | None = None
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
    *("source", "panel", "policy", "items", "settled", "rejected", "dead"),
    *("alert_usd", "last_problem", "results"),
}
"""Fields of the record that its owner sees unchanged."""


def hit_rate(record: BatchRecord, cached: str) -> float | None:
    """The share of answers that came from the cache, counted as `cached`; None without any."""
    kept = record.count(cached)
    asked = record.count("calls") + kept
    return kept / asked if asked else None
