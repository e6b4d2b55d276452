"""What the API answers, as frozen values. Money is exact; fields of later versions are ignored."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

Dollars = Annotated[
    Decimal, PlainSerializer(lambda amount: f"{amount:f}", return_type=str, when_used="json")
]
"""An exact amount; in JSON a string without an exponent."""
ENDED = frozenset({"complete", "incomplete", "cancelled"})
"""The states of a batch that change no more by themselves."""


class Frozen(BaseModel):
    """The base of all values."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Decision(StrEnum):
    """The decision of a vote or a verdict."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    NEEDS_REVIEW = "needs_review"


class TokenCount(Frozen):
    """Tokens as billed. `output` includes `reasoning`; `input` includes `cached_input`."""

    input: int = 0
    cached_input: int = 0
    output: int = 0
    reasoning: int = 0


class Vote(Frozen):
    """One voter's vote, or its abstention (`kind`), which has no `decision` and no `confidence`.

    An abstention's `reason` is a code (`throttled`, `timed_out`, …) and `detail` its explanation.
    """

    kind: str
    voter: str
    model: str | None = None
    decision: Decision | None = None
    confidence: float | None = None
    scores: dict[str, float] = Field(default_factory=dict)
    attribute_scores: dict[str, float] = Field(default_factory=dict)
    reason: str = ""
    detail: str = ""
    tokens: TokenCount = TokenCount()
    cost_usd: Dollars = Decimal(0)
    cost_estimated: bool = False
    saved_usd: Dollars = Decimal(0)
    latency_ms: int = 0
    cached: bool = False
    context_seen: bool | None = None


class CategoryScore(Frozen):
    """The panel's pooled score of a category; it is `flagged` from `threshold` on."""

    score: float
    threshold: float
    flagged: bool


class Verdict(Frozen):
    """The panel's decision on a text, with every vote, the reason, a score and the exact cost.

    `action` is what to do: `allow`, `block` or `review`.
    """

    id: str
    content_id: str | None = None
    decision: Decision
    action: str
    score: float
    confidence: float
    reason: str
    categories: dict[str, float]
    category_scores: dict[str, CategoryScore] = Field(default_factory=dict)
    votes: tuple[Vote, ...]
    rounds: int
    calls: int
    cost_usd: Dollars
    saved_usd: Dollars
    latency_ms: int
    answered_from: str
    panel: str
    panel_version: str
    calibrated: bool | None = None
    policy: str
    policy_version: str
    language: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    shadow: dict[str, Any] | None = None
    policy_shadow: dict[str, Any] | None = None
    review: dict[str, Any] | None = None
    reused_review: dict[str, Any] | None = None
    list_hit: dict[str, Any] | None = None


class Problem(Frozen):
    """Why an item of a batch was rejected, or (with `reason` and `at`) why it has no result yet."""

    code: str | None = None
    message: str | None = None
    field: str | None = None
    limit: Any = None
    reason: str | None = None
    at: datetime | None = None
    id: str | None = None


class Document(Frozen):
    """The outcome of a document of a batch: its `state`, its answer and the exact cost.

    `answer` is text, or data for the operations that classify and extract; an answer that is too
    long for a page is at `answer_url`. All other fields of the API's answer are kept too.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    id: str | None = None
    name: str | None = None
    operation: str
    model: str
    cost_usd: Dollars = Decimal(0)
    saved_usd: Dollars = Decimal(0)
    cached: bool = False
    answer_url: str | None = None
    created_at: datetime


class BatchResult(Frozen):
    """One item of a batch: exactly one of its verdict, its document, `rejected` and `dead`."""

    index: int
    verdict: Verdict | None = None
    document: Document | None = None
    rejected: Problem | None = None
    dead: Problem | None = None


class BatchProgress(Frozen):
    """How far a batch has come, and its exact cost so far.

    Rates and what remains are None until enough items are settled.
    """

    id: str
    state: str
    items: int
    settled: int
    rejected: int
    dead: int
    pending: int
    cancelled: int
    decisions: dict[str, int] = Field(default_factory=dict)
    cost_usd: Dollars
    saved_usd: Dollars
    items_per_second: float | None = None
    remaining_seconds: float | None = None
    remaining_cost_usd: Dollars | None = None
    paused_until: str | None = None
    last_problem: str | None = None

    @property
    def ended(self) -> bool:
        """Whether it changes no more by itself."""
        return self.state in ENDED

    @property
    def whole(self) -> bool:
        """Whether each item has a result."""
        return self.ended and not self.pending and not self.cancelled
