"""How far many judgements have come, and the report of them at the end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic
from typing import Protocol

from pydantic import Field

from quorum_client.results import Dollars, Frozen

ERROR = "error"
"""The decision that a text without a verdict is counted under."""
DECISIONS = ("safe", "unsafe", "needs_review", ERROR)
_PICODOLLARS = Decimal("1e-12")


class Judged(Protocol):
    """A verdict, of the API or of this process."""

    @property
    def decision(self) -> str:
        """The decision."""

    @property
    def cost_usd(self) -> Decimal:
        """What it cost."""

    @property
    def saved_usd(self) -> Decimal:
        """What cached votes saved."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The texts `done` so far of `total` (None if it is not known), and their exact cost.

    `decisions` counts them by decision; `error` are those without a verdict.
    """

    done: int
    total: int | None
    decisions: Mapping[str, int]
    cost_usd: Decimal
    saved_usd: Decimal
    seconds: float


class Report(Frozen):
    """The report of a run: its time, its totals, its decisions and the cost of one.

    Dollars are exact, but for `cost_per_decision_usd`, the mean over all verdicts, which is rounded
    to picodollars and None without a verdict. `errors` counts failures by code. `alerted` says
    that the cost reached `alert_usd`.
    """

    created_at: datetime
    seconds: float
    texts: int
    decisions: dict[str, int]
    errors: dict[str, int] = Field(default_factory=dict)
    total_cost_usd: Dollars
    saved_usd: Dollars
    cost_per_decision_usd: Dollars | None = None
    alert_usd: Dollars | None = None
    alerted: bool = False


class Count:
    """The counts of a run that begins now. It is not safe for threads by itself."""

    def __init__(self, total: int | None, alert_usd: Decimal | None = None) -> None:
        self._began = datetime.now(UTC)
        self._started = monotonic()
        self._total = total
        self._alert_usd = alert_usd
        self._decisions: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._cost_usd = Decimal(0)
        self._saved_usd = Decimal(0)

    @property
    def alerted(self) -> bool:
        """Whether the cost has reached the threshold of the alert."""
        return self._alert_usd is not None and self._cost_usd >= self._alert_usd

    def judged(self, verdict: Judged) -> None:
        """Count a verdict."""
        self._decisions[str(verdict.decision)] += 1
        self._cost_usd += verdict.cost_usd
        self._saved_usd += verdict.saved_usd

    def failed(self, code: str) -> None:
        """Count a text without a verdict."""
        self._decisions[ERROR] += 1
        self._errors[code] += 1

    def progress(self) -> Progress:
        """How far the run has come."""
        return Progress(
            done=self._decisions.total(),
            total=self._total,
            decisions=self._by_decision(),
            cost_usd=self._cost_usd,
            saved_usd=self._saved_usd,
            seconds=monotonic() - self._started,
        )

    def report(self) -> Report:
        """The report of what was counted."""
        verdicts = self._decisions.total() - self._decisions[ERROR]
        each = (self._cost_usd / verdicts).quantize(_PICODOLLARS) if verdicts else None
        return Report(
            created_at=self._began,
            seconds=monotonic() - self._started,
            texts=self._decisions.total(),
            decisions=self._by_decision(),
            errors=dict(self._errors),
            total_cost_usd=self._cost_usd,
            saved_usd=self._saved_usd,
            cost_per_decision_usd=each,
            alert_usd=self._alert_usd,
            alerted=self.alerted,
        )

    def _by_decision(self) -> dict[str, int]:
        return {name: self._decisions[name] for name in DECISIONS}
