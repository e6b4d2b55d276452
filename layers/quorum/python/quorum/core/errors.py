"""The tree of errors, and the one table of what each means to a caller.

::

    QuorumError                         code                     HTTP   passes
    ├── RequestRejected                 the request must change
    │   ├── InvalidRequest              one of its own            400
    │   ├── BudgetSpent                 budget_spent              402    yes
    │   ├── NotAllowed                  one of its own            403
    │   ├── NotFound                    one of its own            404
    │   ├── Conflict                    one of its own            409
    │   ├── PreconditionFailed          one of its own            412
    │   ├── TooLarge                    one of its own            413
    │   └── TooMany                     one of its own            429    yes
    │       └── RateLimited             one of its own            429    yes
    ├── VoteUnavailable                 a vote that could not be had: becomes an abstention
    │   ├── ModelThrottled              throttled                 429    yes
    │   ├── ModelUnavailable            model_unavailable         502    yes
    │   ├── ModelTimedOut               timed_out                 504    yes
    │   ├── ModelRefused                refused                   400
    │   ├── ReplyUnreadable             model_unavailable         502
    │   │   ├── AnswerCut               answer_cut                502
    │   │   ├── AnswerEmpty             answer_empty              502    yes
    │   │   ├── AnswerFailed            answer_failed             502    yes
    │   │   └── AnswerUnusable          answer_unusable           502
    │   ├── PolicyUnspoken              model_unavailable         502
    │   ├── PromptTooLong               prompt_too_long           400
    │   └── GatewayRejected             model_unavailable         502
    │       └── GatewayDenied           model_unavailable         502    yes
    ├── PanelInvalid                    invalid_panel             400
    ├── PolicyInvalid                   invalid_policy            400
    ├── ModelUnknown                    invalid_model             400
    ├── DocumentUnreadable              one of its own            400
    ├── StreamCut                       stream_cut                502    yes
    ├── Postponed                       unavailable               503    yes
    ├── Undeliverable                   undeliverable             400
    ├── ConnectionGone                  failed                    500
    ├── SettingsInvalid                 failed                    500
    ├── Unauthorized                    invalid_api_key           401
    ├── StoreUnavailable                unavailable               503    yes
    ├── VotersUnavailable               unavailable               503    yes
    └── WorkflowFailed                  unavailable               503    yes
        └── WorkflowNotStarted          unavailable               503    yes

The table is the classes' attributes: `code` is stable and machine-readable, `http_status` is the
status over HTTP, `transient` (passes) says that the same request may succeed later. Code that turns
an error into an answer, a chat message, an abstention or a message on a queue reads them.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from quorum.core.abstentions import AbstentionReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from quorum.core.models import Reservation, Tokens


UNAVAILABLE = "temporarily unavailable; retry later"
"""The message of every 503: there is nothing for the caller to change."""
FAILED = "the request could not be served"
"""The message for callers of an error whose own message may quote content."""


class QuorumError(Exception):
    """The root of the tree.

    `field` and `limit` name the field to change and its limit, where they are known;
    `retry_after_seconds` is the time to wait before the same request.
    """

    code: str = "failed"
    http_status: ClassVar[int] = 500
    transient: ClassVar[bool] = False
    field: str | None = None
    limit: "int | str | Mapping[str, Any] | None" = None
    retry_after_seconds: float | None = None

    @property
    def told(self) -> str:
        """The message for the caller. The error's own message is for the log.

        Neither quotes content.
        """
        return FAILED


class RequestRejected(QuorumError):
    """The request cannot be served as it is; `message` never quotes content."""

    http_status = 400

    def __init__(
        self,
        message: str,
        *,
        code: str = "invalid_request",
        field: str | None = None,
        limit: "int | str | Mapping[str, Any] | None" = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.field = field
        self.limit = limit

    @property
    def told(self) -> str:
        """The message."""
        return self.message


class InvalidRequest(RequestRejected):
    """A field is missing, of the wrong type, out of range or unknown."""


class BudgetSpent(RequestRejected):
    """The hard budget is used up; `limit` says when it resets."""

    http_status = 402
    transient = True


class NotAllowed(RequestRejected):
    """The key is known but may not do this."""

    http_status = 403


class NotFound(RequestRejected):
    """No such record for this tenant (another tenant's record reads the same)."""

    http_status = 404


class Conflict(RequestRejected):
    """The Idempotency-Key belongs to another request or is in use, or another review came first."""

    http_status = 409


class PreconditionFailed(RequestRejected):
    """The version that the request is for is not in force; `limit` is the one that is."""

    http_status = 412


class TooLarge(RequestRejected):
    """The body is over the limit."""

    http_status = 413


class TooMany(RequestRejected):
    """The caller has too many requests under way; `limit` says how many are allowed."""

    http_status = 429
    transient = True


class RateLimited(TooMany):
    """The key has used up its limit of requests; `limit` is that limit."""

    retry_after_seconds: float
    limit: int

    def __init__(self, message: str, *, code: str, limit: int, retry_after_seconds: float) -> None:
        super().__init__(message, code=code, limit=limit)
        self.retry_after_seconds = retry_after_seconds


class VoteUnavailable(QuorumError):
    """A vote that could not be had, and the cost of trying.

    `tokens` and `cost_usd` are what the gateway billed although no vote came of it; `reservation`
    is the reservation that the ledger ends with it. `message` never quotes content or reply.
    `abstention` is the reason in a verdict. Where `field` is `prompt`, the prompt has to change,
    whatever the caller's interface calls it.
    """

    code = "model_unavailable"
    http_status = 502
    transient = True
    abstention: ClassVar[AbstentionReason] = AbstentionReason.FAILED
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

    @property
    def told(self) -> str:
        """The message."""
        return self.message


class ModelThrottled(VoteUnavailable):
    """The rate limit of the model is reached; ask again after `retry_after_seconds`."""

    code = "throttled"
    http_status = 429
    abstention = AbstentionReason.THROTTLED
    retry_after_seconds: float

    def __init__(
        self, message: str, *, retry_after_seconds: float, served_by: str | None = None
    ) -> None:
        super().__init__(message, served_by=served_by)
        self.retry_after_seconds = retry_after_seconds


class ModelUnavailable(VoteUnavailable):
    """No base URL could be reached, or all answered 5xx."""

    abstention = AbstentionReason.UNAVAILABLE


class ModelTimedOut(VoteUnavailable):
    """No answer before the deadline."""

    code = "timed_out"
    http_status = 504
    abstention = AbstentionReason.TIMED_OUT


class ModelRefused(VoteUnavailable):
    """The model or its safety filter would not answer.

    `excerpt` is the start of its answer: content, to be stored only where content may be.
    """

    code = "refused"
    http_status = 400
    transient = False
    field = "prompt"
    abstention = AbstentionReason.REFUSED

    def __init__(self, message: str, *, excerpt: str = "", served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.excerpt = excerpt


class ReplyUnreadable(VoteUnavailable):
    """The reply is not what was asked for: no vote with certainty, or no whole answer.

    It is never guessed.

    `excerpt` is the start of the reply: content, to be stored only where content may be.
    """

    transient = False
    abstention = AbstentionReason.REPLY_UNREADABLE

    def __init__(self, message: str, *, excerpt: str = "", served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.excerpt = excerpt


class PolicyUnspoken(VoteUnavailable):
    """The model knows rules of its own only, and they say nothing certain under this policy."""

    transient = False
    abstention = AbstentionReason.POLICY_UNKNOWN


class PromptTooLong(VoteUnavailable):
    """The prompt does not fit the model's context window; nothing was sent."""

    code = "prompt_too_long"
    http_status = 400
    transient = False
    field = "prompt"
    abstention = AbstentionReason.PROMPT_TOO_LONG


class GatewayRejected(VoteUnavailable):
    """The gateway refused the call with `status`; asking again cannot help."""

    transient = False
    abstention = AbstentionReason.GATEWAY_REJECTED

    def __init__(self, message: str, *, status: int, served_by: str | None = None) -> None:
        super().__init__(message, served_by=served_by)
        self.status = status


class GatewayDenied(GatewayRejected):
    """The gateway refuses any call: its key, its credit, its rights or its address is wrong.

    The prompt is not the reason: ask again after `retry_after_seconds`, when an operator may have
    repaired it.
    """

    transient = True
    retry_after_seconds = 300.0


class AnswerCut(ReplyUnreadable):
    """The answer reached its limit of tokens and is incomplete."""

    code = "answer_cut"


class AnswerEmpty(ReplyUnreadable):
    """The answer has no text."""

    code = "answer_empty"
    transient = True


class AnswerFailed(ReplyUnreadable):
    """The model's vendor failed before the end of the answer."""

    code = "answer_failed"
    transient = True


class AnswerUnusable(ReplyUnreadable):
    """The answer ended in an unexpected way, for example with a call of a tool."""

    code = "answer_unusable"


class PanelInvalid(QuorumError):
    """A panel that cannot be used; `path` is the dotted path of the faulty field."""

    code = "invalid_panel"
    http_status = 400
    field = "panel"

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(f"{path}: {message}")
        self.message = message
        self.path = path

    @property
    def told(self) -> str:
        """The message, after the path."""
        return str(self)


class PolicyInvalid(QuorumError):
    """A policy that cannot be used, because there is none of that name or version."""

    code = "invalid_policy"
    http_status = 400
    field = "policy"

    def __init__(self, message: str) -> None:
        super().__init__(f"policy: {message}")

    @property
    def told(self) -> str:
        """The message."""
        return str(self)


class ModelUnknown(QuorumError):
    """No such model in the registry; the message lists the known ones."""

    code = "invalid_model"
    http_status = 400
    field = "model"

    def __init__(self, name: str, known: "Iterable[str]") -> None:
        super().__init__(f"unknown model {name!r}; known models: {', '.join(sorted(known))}")
        self.name = name

    @property
    def told(self) -> str:
        """The message."""
        return str(self)


class DocumentUnreadable(QuorumError):
    """No text can be read from a file, or not safely.

    `message` is for people and never quotes content; `limit` is the limit that was exceeded.
    """

    http_status = 400

    def __init__(self, message: str, *, code: str, limit: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.limit = limit

    @property
    def told(self) -> str:
        """The message."""
        return self.message


class StreamCut(QuorumError):
    """A stream that ended before `[DONE]`, with the text that arrived and its cost.

    `received` is content: never logged. The cost is estimated unless the usage had arrived.
    """

    code = "stream_cut"
    http_status = 502
    transient = True
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

    @property
    def told(self) -> str:
        """The message."""
        return str(self)


class _Unavailable(QuorumError):
    """An outage: the caller has nothing to change, and the same request may succeed later."""

    code = "unavailable"
    http_status = 503
    transient = True

    @property
    def told(self) -> str:
        """The same message for each; the error's own message is for the log."""
        return UNAVAILABLE


class Postponed(_Unavailable):
    """No verdict now; ask again after `retry_after_seconds`. `reason` names the missing voters."""

    retry_after_seconds: float

    def __init__(self, reason: str, *, retry_after_seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Undeliverable(QuorumError):
    """A message that can never be judged; `reason` says why and never quotes it."""

    code = "undeliverable"
    http_status = 400

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def told(self) -> str:
        """The reason."""
        return self.reason


class ConnectionGone(QuorumError):
    """The client of a chat has closed its connection."""


class SettingsInvalid(QuorumError):
    """The environment lacks a setting or has a wrong one; the message names it."""


class Unauthorized(QuorumError):
    """There is no key, or it is unknown; API Gateway answers 401 to an authorizer that says so."""

    code = "invalid_api_key"
    http_status = 401

    def __init__(self) -> None:
        super().__init__("Unauthorized")


class StoreUnavailable(_Unavailable):
    """DynamoDB could not be written or read, or the panels in SSM could not be read."""


class VotersUnavailable(_Unavailable):
    """No voter answered that may say what was asked."""


class WorkflowFailed(_Unavailable):
    """The state machine ended without a verdict."""


class WorkflowNotStarted(WorkflowFailed):
    """The state machine could not be started, although it was tried several times."""
