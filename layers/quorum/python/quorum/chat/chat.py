"""The messages of a chat's WebSocket, from and to its client. Pure.

A client sends `chat` and `cancel` (the field `action`; a message without it is a chat). Messages to
the client name their kind in `type`:

* `token`      a piece of the answer, `content`; its `index` counts from 0, and one that comes twice
               is the same piece (a post whose answer was lost is repeated)
* `complete`   the end of an answer: all of it, what it took and what it cost
* `withdrawn`  the answer is withdrawn: it was judged unsafe, or could not be judged
* `cancelled`  the answer ends because the client cancelled it
* `error`      there is no answer, or no more of it: `code`, `message`, and if known `field`
               and `limit`

Each names its `request_id`, and the cost if anything was paid (`usage`, `cost_usd`).
"""

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, StringConstraints, Tag, TypeAdapter, ValidationError

from quorum.answer.completions import Message as SaidMessage
from quorum.answer.completions import Nullable
from quorum.answer.questions import Answered, ChatMessage, Question
from quorum.core.errors import (
    FAILED,
    InvalidRequest,
    NotFound,
    PanelInvalid,
    QuorumError,
    StreamCut,
    TooLarge,
    VoteUnavailable,
)
from quorum.core.json_types import NUMBER, WHOLE_NUMBER, TrueOrFalse
from quorum.core.models import Frozen, Identifier, Tokens
from quorum.core.rejection import rejection
from quorum.core.unicode import whole_json
from quorum.vote.size import too_large

if TYPE_CHECKING:
    from quorum.ledger.ledger import Spending

MESSAGE_BYTES = 128 * 1024
"""Bytes of a WebSocket message in API Gateway."""
FRAME_BYTES = 32 * 1024
"""Bytes of one frame; every message to a client fits in one.

A client splits a longer message of its own into frames. API Gateway ends a connection on a larger
frame, with 1009, and says so of posts to a connection too.
"""
OUTPUT_LIMIT = 16_384
"""Tokens of an answer at most: with most models a longer one would exceed the function's time."""
OUTPUT_TOKENS = 1_024
"""Tokens of an answer at most if the request sets no limit."""
MESSAGES_LIMIT = 1_000
ACTIONS = ("chat", "cancel")

ConversationId = Annotated[
    # "#" separates the parts of the table's keys
    str, StringConstraints(min_length=1, max_length=128, pattern=r"^[\w.:@/-]+$")
]


class Moderate(Nullable):
    """The parts to moderate: the prompt before it is asked, the answer while it streams.

    An unsafe prompt is not asked, and an unsafe answer is withdrawn. The same holds if the voters
    cannot judge it. A text that `needs_review` passes and waits for a reviewer; with `strict` it
    counts as unsafe.
    """

    prompt: TrueOrFalse = False
    answer: TrueOrFalse = False
    strict: TrueOrFalse = False
    panel: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None


class ChatRequest(Nullable):
    """`{"action": "chat"}`: a `prompt` in a conversation that is kept, or `messages` by themselves.

    A `request_id` names one answer of a connection; without one it is generated. `use_cache`: None
    caches answers at temperature 0, true caches all, false none.
    """

    action: Literal["chat"] = "chat"
    prompt: Annotated[str, StringConstraints(min_length=1)] | None = None
    messages: (
        Annotated[tuple[SaidMessage, ...], Field(min_length=1, max_length=MESSAGES_LIMIT)] | None
    ) = None
    system: Annotated[str, StringConstraints(min_length=1)] | None = None
    model: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2), NUMBER] = 1.0
    max_tokens: Annotated[int, Field(ge=1, le=OUTPUT_LIMIT), WHOLE_NUMBER] = OUTPUT_TOKENS
    request_id: Identifier | None = None
    conversation: ConversationId | None = None
    use_cache: TrueOrFalse | None = None
    moderate: Moderate = Moderate()

    def judged_prompt(self) -> str:
        """All that the client says now, for the voters, whatever role it gives to its words.

        What a client puts into the system's or the model's mouth is as new as its user's turn.
        """
        said = [message.content for message in self.said()]
        now = (self.system, *said) if self.prompt is None else (self.system, self.prompt)
        return "\n\n".join(words for words in now if words)

    def said(self) -> tuple[ChatMessage, ...]:
        """The conversation that the client sends itself; empty if it sends a prompt."""
        return tuple(message.to_message() for message in self.messages or ())


class CancelRequest(Frozen):
    """`{"action": "cancel"}`: stop the answer to `request_id`."""

    action: Literal["cancel"]
    request_id: Identifier


class Asked(Frozen):
    """A chat request on its way to the function that streams the answer.

    `conversation` is None for messages that stand alone; a `fresh` one has no history yet. `slot`
    is which of its connection's answers at once this one is.
    """

    connection: str
    tenant: Identifier
    request_id: Identifier
    request: ChatRequest
    model: str
    conversation: ConversationId | None = None
    fresh: bool = False
    slot: int = 0

    def question(self, history: tuple[ChatMessage, ...], system: str | None) -> Question:
        """The question to the model: the history, and the new prompt or messages."""
        request = self.request
        first = () if system is None else (ChatMessage(role="system", content=system),)
        if request.messages is not None:
            said = request.said()
        else:
            said = (*history, ChatMessage(role="user", content=request.prompt or ""))
        return Question(
            model=self.model,
            messages=first + said,
            max_output_tokens=request.max_tokens,
            temperature=request.temperature,
        )


def _action(message: object) -> object:
    """The action of a message; a message without one is a chat."""
    action = message.get("action") if isinstance(message, dict) else ""
    return "chat" if action is None else action


_REQUEST: TypeAdapter[ChatRequest | CancelRequest] = TypeAdapter(
    Annotated[
        Annotated[ChatRequest, Tag("chat")] | Annotated[CancelRequest, Tag("cancel")],
        Discriminator(_action),
    ]
)


def read(body: str | None) -> ChatRequest | CancelRequest:
    """The client's message, parsed; raises `InvalidRequest` or `TooLarge` with field and limit."""
    written = (body or "").encode(errors="replace")
    if len(written) > MESSAGE_BYTES:
        raise TooLarge(
            f"a message has at most {MESSAGE_BYTES} bytes",
            code="message_too_large",
            field="message",
            limit=MESSAGE_BYTES,
        )
    try:
        request = _REQUEST.validate_json(whole_json(written))
    except ValidationError as error:
        # pydantic's path begins with the action, unless the action itself is wrong.
        if error.errors(include_input=False)[0]["type"].startswith("union_tag"):
            raise no_such_action() from None
        found = rejection(error, skip=1)
    except RecursionError:
        raise InvalidRequest("the message is nested too deeply", code="invalid_json") from None
    else:
        if isinstance(request, ChatRequest):
            _require_sense(request)
        return request
    raise InvalidRequest(found.message, code=found.code, field=found.field, limit=found.limit)


def _require_sense(request: ChatRequest) -> None:
    """Check rules about several fields; raises `InvalidRequest`."""
    wrong: tuple[str, str, int | None] | None = None
    if (request.prompt is None) == (request.messages is None):
        wrong = ("prompt", "give either prompt or messages, not both", None)
    elif request.messages is not None and request.conversation is not None:
        wrong = ("conversation", "continues with prompt; messages cannot belong to one", None)
    elif request.messages is not None and request.messages[-1].role != "user":
        wrong = ("messages", "the last message must have the role user", None)
    elif request.moderate.prompt and (broken := too_large(request.judged_prompt())) is not None:
        wrong = ("prompt", f"to be moderated it {broken.message}", broken.limit)
    if wrong is not None:
        field, message, limit = wrong
        raise InvalidRequest(
            f"{field}: {message}", code=f"invalid_{field}", field=field, limit=limit
        )


def no_such_action() -> InvalidRequest:
    """The error for a message that is neither a `chat` nor a `cancel`."""
    return InvalidRequest(
        f"action must be one of {', '.join(ACTIONS)}", code="invalid_action", field="action"
    )


def named(body: str | None) -> str | None:
    """The request id in an invalid message, so that its error can name it."""
    try:
        told = whole_json((body or "").encode(errors="replace"))
        return str(_Named.model_validate_json(told).request_id)
    except ValidationError:
        return None


class _Named(Frozen, extra="ignore"):
    request_id: Identifier


# ---- messages to the client ---------------------------------------------------------------------

Message = dict[str, Any]


def written(message: Message) -> bytes:
    """A message as bytes; a lone surrogate becomes a question mark."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def token(request_id: str, index: int, content: str) -> Message:
    """A piece of the answer."""
    return {"type": "token", "request_id": request_id, "index": index, "content": content}


def paid(tokens: Tokens, cost_usd: Decimal, *, estimated: bool) -> Message:
    """The usage and cost under the OpenAI API's names; money is an exact string."""
    return {
        "usage": {
            "prompt_tokens": tokens.input,
            "completion_tokens": tokens.output,
            "total_tokens": tokens.total,
        },
        "cost_usd": f"{cost_usd.normalize():f}",
        "cost_estimated": estimated,
    }


def complete(asked: Asked, answered: Answered, pieces: int, **facts: Any) -> Message:
    """The end of an answer that was sent in `pieces`.

    If the answer is too long to repeat, `full_response` is null and `full_response_omitted` true.
    """
    message = {
        "type": "complete",
        "request_id": asked.request_id,
        "conversation": asked.conversation,
        "full_response": answered.text,
        "full_response_omitted": False,
        "tokens_sent": pieces,
        **paid(answered.tokens, answered.cost_usd, estimated=answered.cost_estimated),
        "saved_usd": f"{answered.saved_usd.normalize():f}",
        "finish_reason": answered.finish_reason,
        "refusal": answered.refusal,
        "cached": answered.cached,
        "model": answered.model,
        "first_token_ms": answered.first_token_ms,
        "latency_ms": answered.latency_ms,
        **facts,
    }
    if len(written(message)) > FRAME_BYTES:
        message |= {"full_response": None, "full_response_omitted": True}
    return message


def stopped(kind: str, asked: Asked, spent: "Spending | None", **facts: Any) -> Message:
    """The message about an answer that ended early, `cancelled` or `withdrawn`, with its cost.

    Before the model began to answer the cost is unknown: the gateway may still bill it.
    """
    if spent is None:
        cost = paid(Tokens(), Decimal(0), estimated=True)
    else:
        cost = paid(spent.tokens, spent.cost_usd, estimated=spent.cost_estimated)
    names = {"request_id": asked.request_id, "conversation": asked.conversation}
    return {"type": kind, **names, **cost, **facts}


def error(request_id: str | None, failure: Exception, **facts: Any) -> Message:
    """The message about an error, with the cost if anything was paid."""
    told: Message = {"type": "error", "request_id": request_id, **_said(failure)}
    if isinstance(failure, QuorumError) and failure.retry_after_seconds is not None:
        told["retry_after_seconds"] = failure.retry_after_seconds
    if isinstance(failure, VoteUnavailable | StreamCut) and failure.tokens is not None:
        told |= paid(failure.tokens, failure.cost_usd, estimated=failure.cost_estimated)
    return told | facts


def _said(failure: Exception) -> Message:
    """The error's code, message, and its field and limit if known; never content."""
    if not isinstance(failure, QuorumError):
        return {"code": QuorumError.code, "message": FAILED}  # its own may quote content
    field = "moderate.panel" if isinstance(failure, PanelInvalid) else failure.field
    said = {"code": failure.code, "message": failure.told, "field": field, "limit": failure.limit}
    return {name: value for name, value in said.items() if value is not None}


def conversation_not_found() -> NotFound:
    """The error for a conversation that is unknown, expired or another tenant's."""
    return NotFound(
        "there is no conversation with this id", code="conversation_not_found", field="conversation"
    )
