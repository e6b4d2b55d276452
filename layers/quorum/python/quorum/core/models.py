"""The data types that all packages share: frozen, and strict at the borders.

Money is `Decimal` dollars, exact, and travels as a JSON string: a state machine or a browser would
turn a JSON number into a binary float.
"""

from collections.abc import Sized
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)

from quorum.core.abstentions import AbstentionReason
from quorum.core.json_types import WHOLE_NUMBER

CONTENT_LIMIT = 32_768
"""Characters of one content."""
CONTEXT_LIMIT = 4_096
"""Characters of a context's texts together: a state machine's state has room for no more."""
CONTEXT_TEXT_LIMIT = 2_000
"""Characters of one earlier message, or of a parent post."""
CONTEXT_MESSAGES_LIMIT = 10
"""Earlier messages of a context."""
ACCOUNT_DAYS_LIMIT = 100_000
"""Days of an account's age."""
STRIKES_LIMIT = 1_000_000
"""Earlier strikes of an author."""
REASON_LIMIT = 120
"""Characters of a vote's reason."""
DETAIL_LIMIT = 200
"""Characters of an abstention's detail."""
NOTE_LIMIT = 1000
"""Characters of a reviewer's note."""
REVIEW_CATEGORIES_LIMIT = 20
"""Categories that a reviewer names for one content."""
METADATA_LIMIT = 20
"""Entries of a request's metadata."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]


def _no_parts(amount: Any) -> Any:
    """`amount`; a list is no number, though pydantic reads sign, digits and exponent from one."""
    if isinstance(amount, list | tuple):
        raise ValueError("must be a number, or a number as text")  # noqa: TRY004 pydantic's error
    return amount


Money = Annotated[
    Decimal,
    BeforeValidator(_no_parts),
    PlainSerializer(lambda amount: f"{amount:f}", return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}, mode="serialization"),
]
"""An exact amount; in JSON a string without an exponent, which not every reader knows."""
Dollars = Annotated[Money, Field(ge=0)]
Identifier = Annotated[
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.:#@/-]+$")
]


def is_none(value: object) -> bool:
    """Whether `value` is None; such fields are left out of JSON."""
    return value is None


def is_empty(value: Sized) -> bool:
    """Whether `value` has no entries; such fields are left out of JSON."""
    return not len(value)


class Frozen(BaseModel):
    """The base of all values: immutable, and closed to undeclared fields.

    What our own functions sent or stored is read with `extra="ignore"`: during a deploy, and after
    a roll back, newer code may have written it.

    NaN is refused as no finite number; a limit would say that it is too large.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Decision(StrEnum):
    """The decision of a vote or a verdict on a content."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    NEEDS_REVIEW = "needs_review"


class Category(StrEnum):
    """The kinds of unsafe content: OpenAI's thirteen moderation categories."""

    HARASSMENT = "harassment"
    HARASSMENT_THREATENING = "harassment/threatening"
    HATE = "hate"
    HATE_THREATENING = "hate/threatening"
    ILLICIT = "illicit"
    ILLICIT_VIOLENT = "illicit/violent"
    SELF_HARM = "self-harm"
    SELF_HARM_INTENT = "self-harm/intent"
    SELF_HARM_INSTRUCTIONS = "self-harm/instructions"
    SEXUAL = "sexual"
    SEXUAL_MINORS = "sexual/minors"
    VIOLENCE = "violence"
    VIOLENCE_GRAPHIC = "violence/graphic"


class Attribute(StrEnum):
    """The attributes of comments that Perspective's API scores."""

    TOXICITY = "toxicity"
    SEVERE_TOXICITY = "severe_toxicity"
    IDENTITY_ATTACK = "identity_attack"
    INSULT = "insult"
    PROFANITY = "profanity"
    THREAT = "threat"
    SEXUALLY_EXPLICIT = "sexually_explicit"


AttributeScores = dict[Attribute, Probability]
"""The probability of each attribute; one that is missing is not covered in the text's language."""

CategoryName = Annotated[
    str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z][a-z0-9_/-]*$")
]
"""The name of a category: one of the thirteen, or one of a policy's own."""


_MUTE = (
    AbstentionReason.NOTHING_FOUND,
    AbstentionReason.LANGUAGE_UNKNOWN,
    AbstentionReason.POLICY_UNKNOWN,
)
_REPEATABLE = (*_MUTE, AbstentionReason.UNLIKE_TRAINING)


class Tokens(Frozen):
    """Tokens as billed. `output` includes `reasoning`; `input` includes `cached_input`."""

    input: int = Field(default=0, ge=0)
    cached_input: int = Field(default=0, ge=0)
    output: int = Field(default=0, ge=0)
    reasoning: int = Field(default=0, ge=0)

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.input + self.output

    def __add__(self, other: "Tokens") -> "Tokens":
        """The tokens of both."""
        return Tokens(
            input=self.input + other.input,
            cached_input=self.cached_input + other.cached_input,
            output=self.output + other.output,
            reasoning=self.reasoning + other.reasoning,
        )


@dataclass(frozen=True, slots=True)
class Reservation:
    """A place in a model's rate limit: send after `wait_seconds`, then settle or release.

    `overtakes` says that it is ahead of the line; `overtaken` is how far, in microseconds, the line
    had been moved back when this place was last looked at. `shard` is the part of the limit that
    the place is in, where a limit is large enough to have several.
    """

    id: str
    model: str
    tenant: str
    tokens: int
    wait_seconds: float
    overtakes: bool = False
    overtaken: int = 0
    shard: int = 0


class CastVote(Frozen):
    """One voter's opinion of one content.

    `confidence` is the voter's probability that its own decision is right: `confidence_measured`
    (log-probability of the decision token) where the model gives one, else what it stated.
    `decision_cast` is what the voter said where the policy counts that as another `decision`.
    `covers` are the categories that a guard model knows of: of others it says nothing.
    `attribute_scores` are an embedded voter's, whatever the policy.
    `context_seen` says, of a content that has a context, whether the voter was shown it.
    `packed` is the number of contents in the call, if several; tokens and cost are then its share.
    `cost_usd` is the cost of this use of the vote: zero when `cached`; `saved_usd` is then its cost
    when it was bought.
    """

    kind: Literal["vote"] = "vote"
    voter: str
    model: str
    decision: Decision
    decision_cast: Decision | None = Field(default=None, exclude_if=is_none)
    confidence: Probability
    confidence_stated: Probability | None = None
    confidence_measured: Probability | None = None
    scores: dict[CategoryName, Probability] = Field(default_factory=dict)
    covers: tuple[CategoryName, ...] | None = Field(default=None, exclude_if=is_none)
    attribute_scores: AttributeScores = Field(default_factory=dict, exclude_if=is_empty)
    reason: Annotated[str, StringConstraints(max_length=REASON_LIMIT)] = ""
    context_seen: bool | None = Field(default=None, exclude_if=is_none)
    packed: int | None = Field(default=None, ge=2, exclude_if=is_none)
    tokens: Tokens = Tokens()
    cost_usd: Dollars = Decimal(0)
    cost_estimated: bool = False
    saved_usd: Dollars = Decimal(0)
    latency_ms: int = Field(default=0, ge=0)
    cached: bool = False
    served_by: str | None = None


class Abstention(Frozen):
    """A vote that could not be had. It never decides; its cost is kept.

    `cached`: the voter abstained from the same content before, and would do so again.
    `attribute_scores` are an embedded voter's, which may score a text that it is not sure of.
    """

    kind: Literal["abstention"] = "abstention"
    voter: str
    reason: AbstentionReason
    detail: Annotated[str, StringConstraints(max_length=DETAIL_LIMIT)] = ""
    retry_after_seconds: float | None = Field(default=None, ge=0)
    attribute_scores: AttributeScores = Field(default_factory=dict, exclude_if=is_empty)
    tokens: Tokens = Tokens()
    cost_usd: Dollars = Decimal(0)
    cost_estimated: bool = False
    latency_ms: int = Field(default=0, ge=0)
    cached: bool = False
    served_by: str | None = None

    @property
    def repeatable(self) -> bool:
        """Whether the same voter would abstain from the same content again."""
        return self.reason in _REPEATABLE

    @property
    def could_not_vote(self) -> bool:
        """Whether the voter has nothing to say of such a content: no quorum waits for it.

        A voter that could have voted and was not sure is missed.
        """
        return self.reason in _MUTE


Vote = Annotated[CastVote | Abstention, Field(discriminator="kind")]
VOTE: TypeAdapter[CastVote | Abstention] = TypeAdapter(Vote)


LanguageCode = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}$")]
"""A language as ISO 639 writes it in small letters."""


class Author(Frozen):
    """Facts about the author of a content, as far as the platform knows them."""

    account_age_days: Annotated[int, Field(ge=0, le=ACCOUNT_DAYS_LIMIT), WHOLE_NUMBER] | None = None
    earlier_strikes: Annotated[int, Field(ge=0, le=STRIKES_LIMIT), WHOLE_NUMBER] | None = None


class Context(Frozen):
    """What a content belongs to: earlier `messages`, the oldest first, or the `parent` post.

    It is shown to voters that can read it, and is not itself judged.
    """

    messages: Annotated[tuple[str, ...], Field(max_length=CONTEXT_MESSAGES_LIMIT)] = ()
    parent: str | None = None
    author: Author | None = None


class Content(Frozen):
    """A text to be judged, with the id, language, context and metadata that its caller gave.

    `default_language` is the language of texts whose language cannot be told, where it is known.
    """

    text: Annotated[str, StringConstraints(min_length=1, max_length=CONTENT_LIMIT)]
    id: Identifier | None = None
    language: LanguageCode | None = None
    default_language: LanguageCode | None = None
    context: Context | None = None
    metadata: dict[str, str | int | float | bool | None] = Field(
        default_factory=dict, max_length=METADATA_LIMIT
    )


class Outcome(Frozen):
    """The tally's result for the votes so far, with a reason.

    `score` is the panel's measure of unsafe in [0, 1] (a probability under the calibrated rule);
    `confidence` is that of the decision. `settled` is true when no more voters will be asked;
    otherwise `next_voters` are the voters of the next round, none of whom has voted.
    """

    decision: Decision
    score: Probability
    confidence: Probability
    reason: str
    settled: bool
    next_voters: tuple[str, ...] = ()


class Disposition(StrEnum):
    """The action that a platform should take on a content."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"


DISPOSITIONS = {
    Decision.SAFE: Disposition.ALLOW,
    Decision.NEEDS_REVIEW: Disposition.REVIEW,
    Decision.UNSAFE: Disposition.BLOCK,
}
"""The action for each decision, if its policy is enforced."""


def _disposition(so_far: dict[str, Any]) -> Disposition:
    """What follows from the decision, for verdicts of before there were actions."""
    return DISPOSITIONS.get(so_far.get("decision", Decision.NEEDS_REVIEW), Disposition.REVIEW)


class CategoryScore(Frozen):
    """A panel's pooled score of a category; it is `flagged` from `threshold` on."""

    score: Probability
    threshold: Probability
    flagged: bool


class Shadow(Frozen):
    """Another panel's decision on the same votes. It is recorded and has no effect."""

    panel: str
    version: str
    decision: Decision
    score: Probability


class PolicyShadow(Frozen):
    """The decision of a policy's shadow on the same content. It is recorded and has no effect.

    `policy` is the shadow, as name and version; `cost_usd` is what its own votes cost.
    """

    policy: str
    decision: Decision
    score: Probability
    cost_usd: Dollars


Note = Annotated[str, StringConstraints(max_length=NOTE_LIMIT)]
"""A reviewer's note. It may quote content: never logged."""
ReviewCategories = Annotated[tuple[CategoryName, ...], Field(max_length=REVIEW_CATEGORIES_LIMIT)]
"""The categories that a reviewer names."""


class Review(Frozen):
    """A person's decision on a verdict: a label. `note` may quote content: never logged.

    `needs_review` withdraws the review before it: the content waits for a person again.
    """

    decision: Decision
    reviewer: Identifier
    categories: ReviewCategories = Field(default=(), exclude_if=lambda names: not names)
    note: Note = ""
    reviewed_at: datetime


class AppealState(StrEnum):
    """The state of an appeal: it waits, or somebody else has decided as before, or otherwise."""

    OPEN = "open"
    UPHELD = "upheld"
    OVERTURNED = "overturned"


class Appeal(Frozen):
    """An appeal against `decision`, without the author's words, which are kept like contents."""

    state: AppealState = AppealState.OPEN
    decision: Decision
    made_at: datetime
    decided_at: datetime | None = Field(default=None, exclude_if=is_none)


class ListName(StrEnum):
    """The lists of a policy in order: the first one with a match that is not exempt decides."""

    BLOCK = "block"
    REVIEW = "review"
    ALLOW = "allow"


class ListHit(Frozen):
    """The entry of a policy's lists that settled a verdict, and the list it is on."""

    list: ListName
    entry: str


class ReusedReview(Frozen):
    """The review that answered a content: that of an earlier verdict on the same one."""

    verdict_id: str
    reviewed_at: datetime


def _without_address(votes: "tuple[CastVote | Abstention, ...]") -> "tuple[Any, ...]":
    """The votes without the base URL that gave each: that is the operator's, and in the log."""
    return tuple(
        vote.model_copy(update={"served_by": None}) if vote.served_by else vote for vote in votes
    )


class Verdict(Frozen):
    """A panel's decision on a content under a policy, and everything that explains it.

    `action` is what follows from the decision: always `allow` under a policy that only detects.
    `calibrated` says of a calibrated panel whether it was calibrated under this policy.
    `categories` has the highest score of any vote, `category_scores` the panel's pooled ones.
    `policy_shadow` is what the shadow of the policy says of the same content.
    `review` is the latest one of this content; a person's decision does not change the panel's.
    `appeal` is the latest one against that decision, or against the panel's.
    Where a person had decided the same content before, `reused_review` says so, and nobody voted;
    where an entry of the policy's lists did, `list_hit`.
    """

    id: str
    content_id: str | None = None
    decision: Decision
    action: Disposition = Field(default_factory=_disposition)
    score: Probability
    confidence: Probability
    reason: str
    categories: dict[CategoryName, Probability]
    category_scores: dict[CategoryName, CategoryScore] = Field(default_factory=dict)
    votes: Annotated[tuple[Vote, ...], AfterValidator(_without_address)]
    rounds: int = Field(ge=0)
    calls: int = Field(ge=0)
    cost_usd: Dollars
    saved_usd: Dollars
    latency_ms: int = Field(ge=0)
    answered_from: Literal["panel", "cache", "review", "list"]
    panel: str
    panel_version: str
    calibrated: bool | None = Field(default=None, exclude_if=is_none)
    policy: str = "default"
    policy_version: str
    language: str | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime
    shadow: Shadow | None = None
    policy_shadow: PolicyShadow | None = Field(default=None, exclude_if=is_none)
    review: Review | None = None
    appeal: Appeal | None = Field(default=None, exclude_if=is_none)
    reused_review: ReusedReview | None = None
    list_hit: ListHit | None = Field(default=None, exclude_if=is_none)
