"""Every way it can fail, named for what happened.

::

    QuorumError
    ├── RequestRejected                 the caller can mend it: a 4xx naming the field and the limit
    │   ├── InvalidRequest              400
    │   ├── BudgetSpent                 402
    │   ├── NotAllowed                  403
    │   ├── NotFound                    404
    │   ├── Conflict                    409
    │   └── TooLarge                    413
    ├── VoteUnavailable                 a vote that could not be had: becomes an abstention
    │   ├── ModelThrottled              429, or our own limiter; says how long to wait
    │   ├── ModelUnavailable            connection error or 5xx at every base URL
    │   ├── ModelTimedOut               no answer before the deadline
    │   ├── ModelRefused                the model or its safety filter would not answer
    │   ├── ReplyUnreadable             it answered, but not with a vote
    │   │   ├── AnswerCut               the answer ran into its limit of tokens
    │   │   ├── AnswerEmpty             the answer has no text
    │   │   └── AnswerFailed            the answer broke off, or is no answer in words
    │   ├── PromptTooLong               does not fit the context window; refused before it is sent
    │   └── GatewayRejected             400, 422: this request is refused, asking again cannot help
    │       └── GatewayDenied           401, 402, 403, 404, …: all are, until an operator mends it
    ├── PanelInvalid                    a panel refused at load, with the field named
    ├── ModelUnknown                    lists the known ones
    ├── DocumentUnreadable              no text can be had from a file; says why
    ├── StreamCut                       a stream that ended before it was complete
    ├── Postponed                       the item goes back to the queue: voters throttled or down
    ├── Undeliverable                   a message that can never be judged; says why
    ├── ConnectionGone                  the client of a chat has closed its connection
    ├── StoreUnavailable                503: nothing could be stored, or no panel be read
    └── WorkflowFailed                  503: the state machine ended without a verdict
"""

from decimal import Decimal
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from quorum.core.models import Reservation, Tokens


UNAVAILABLE = "temporarily unavailable; retry later"
"""What callers are told of every 503: there is nothing for them to change."""


class QuorumError(Exception):
    """The root of the tree."""


class RequestRejected(QuorumError):
    """The request cannot be served as it is; `field` and `limit` say what to change.

    `code` is stable and machine-readable; `message` is for people and never quotes content.
    """

    status: ClassVar[int] = 400

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_request",
        field: str | None = None,
        limit: int | str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.limit = limit


class InvalidRequest(RequestRejected):
    """A field is missing, of the wrong type, out of range or unknown."""


class BudgetSpent(RequestRejected):
    """The hard budget is used up; `limit` says when it resets."""

    status = 402


class NotAllowed(RequestRejected):
    """The key is known but may not do this."""

    status = 403


class NotFound(RequestRejected):
    """No such record for this tenant (another tenant's record reads the same)."""

    status = 404


class Conflict(RequestRejected):
    """The same Idempotency-Key came with another body, or is still being answered."""

    status = 409


class TooLarge(RequestRejected):
    """The body is over the limit."""

    status = 413


class VoteUnavailable(QuorumError):
    """A vote that could not be had; what was paid for it all the same is kept.

    `tokens` and `cost_usd` are what the gateway billed although no vote came of it;
    `reservation` is what the ledger settles with it. `message` never quotes content or reply.
    Callers who asked for an answer are told `code`, over HTTP with `http_status`; `of_prompt` says
    that it is the prompt that has to change.
    """

    code: ClassVar[str] = "model_unavailable"
    http_status: ClassVar[int] = 502
    of_prompt: ClassVar[bool] = False
    reservation: "Reservation | None" = None

    def __init__(
        self,
        message: str,
        *,
        tokens: "Tokens | None" = None,
        cost_usd: Decimal = Decimal(0),
        cost_estimated: bool = False,
        served_by: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.tokens = tokens
        self.cost_usd = cost_usd
        self.cost_estimated = cost_estimated
        self.served_by = served_by


class ModelThrottled(VoteUnavailable):
    """The model's rate limit, theirs or ours; ask again after `retry_after_seconds`."""

    code = "throttled"
    http_status = 429

    def __init__(
        self, message: str, *, retry_after_seconds: float, served_by: str | None = None
    ) -> None:
        super().__init__(message, served_by=served_by)
        self.retry_after_seconds = retry_after_seconds


class ModelUnavailable(VoteUnavailable):
    """No base URL could be reached, or all answered 5xx."""


class ModelTimedOut(VoteUnavailable):
    """No answer before the deadline."""

    code = "timed_out"
    http_status = 504


class ModelRefused(VoteUnavailable):
    """The model or its safety filter would not answer.

    `excerpt` is the start of what it said instead: content, to be kept only where content may be.
    """

    code = "refused"
    http_status = 400
    of_prompt = True

    def __init__(self, message: str, *, excerpt: str = "", served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.excerpt = excerpt


class ReplyUnreadable(VoteUnavailable):
    """The reply is not what was asked for: not a vote for certain, or not a whole answer.

    `excerpt` is the start of the reply: content, to be kept only where content may be.
    """

    def __init__(self, message: str, *, excerpt: str = "", served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.excerpt = excerpt


class PromptTooLong(VoteUnavailable):
    """The prompt does not fit the model's context window; nothing was sent."""

    code = "prompt_too_long"
    http_status = 400
    of_prompt = True


class GatewayRejected(VoteUnavailable):
    """The gateway refused the call; asking again cannot help."""

    def __init__(self, message: str, *, status: int, served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.status = status


class GatewayDenied(GatewayRejected):
    """The gateway refuses any call: its key, its credit, its rights or its address is wrong.

    That says nothing of what was asked: ask again after `retry_after_seconds`, when an operator
    may have mended it.
    """

    retry_after_seconds: ClassVar[float] = 300.0


class AnswerCut(ReplyUnreadable):
    """The answer ran into its limit of tokens: half an answer is none."""

    code = "answer_cut"


class AnswerEmpty(ReplyUnreadable):
    """The answer has no text."""

    code = "answer_empty"


class AnswerFailed(ReplyUnreadable):
    """The answer broke off, or wants something else than to answer.

    `transient` where the model's vendor failed, and may not the next time.
    """

    code = "answer_failed"

    def __init__(self, message: str, *, transient: bool, served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.transient = transient


class PanelInvalid(QuorumError):
    """A panel that cannot be used; `field` is the dotted path of what is wrong."""

    def __init__(self, message: str, *, field: str) -> None:
        super().__init__(f"{field}: {message}")
        self.message = message
        self.field = field


class ModelUnknown(QuorumError):
    """No such model in the registry; the message lists the known ones."""

    def __init__(self, name: str, known: "Iterable[str]") -> None:
        super().__init__(f"unknown model {name!r}; known models: {', '.join(sorted(known))}")
        self.name = name


class DocumentUnreadable(QuorumError):
    """No text can be had from a file, or none that is safe to have.

    `code` is stable and machine-readable; `message` is for people and never quotes content;
    `limit` is what was exceeded.
    """

    def __init__(self, message: str, *, code: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.limit = limit


class StreamCut(QuorumError):
    """A stream ended before `[DONE]`; carries what arrived and what it cost.

    `received` is content: never logged. The cost is estimated unless the usage had arrived.
    """

    reservation: "Reservation | None" = None

    def __init__(
        self,
        message: str,
        *,
        received: str,
        tokens: "Tokens",
        cost_usd: Decimal,
        cost_estimated: bool = True,
        served_by: str | None = None,
    ) -> None:
        super().__init__(message)
        self.received = received
        self.tokens = tokens
        self.cost_usd = cost_usd
        self.cost_estimated = cost_estimated
        self.served_by = served_by


class Postponed(QuorumError):
    """No verdict now; ask again after `retry_after_seconds`. `reason` names who was missing."""

    def __init__(self, reason: str, *, retry_after_seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Undeliverable(QuorumError):
    """A message that can never be judged; `reason` says why and never quotes it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ConnectionGone(QuorumError):
    """The client of a chat has closed its connection: there is nobody to answer."""


class StoreUnavailable(QuorumError):
    """DynamoDB could not be written or read, or the panels in SSM could not be read."""


class WorkflowFailed(QuorumError):
    """The state machine ended without a verdict."""
