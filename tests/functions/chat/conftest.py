"""Fixtures for the chat: a client, a model and voters, over the real tables."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
from quorum.answer.questions import Answered, Question
from quorum.aws.keys import Caller, hash_of
from quorum.chat.chat import Asked, ChatRequest
from quorum.chat.conversations import Conversations
from quorum.chat.conversing import Conversing, Pace, Voting
from quorum.chat.relay import BUFFER_CHARACTERS
from quorum.core.errors import BudgetSpent, ConnectionGone, PanelInvalid
from quorum.core.models import Content, Decision, Tokens, Verdict
from quorum.gateway.client import Delta
from quorum.gateway.deadline import Deadline
from quorum.vote import panel
from quorum.vote.evaluation import conclude_without_votes
from quorum.vote.panel import Panel
from quorum.vote.policy import DEFAULT

from tests import make
from tests.clock import Clock
from tests.world import serial

Message = dict[str, Any]
CONNECTION, TENANT = "connection-1", "acme"
KEY_HASH = hash_of("qk_of-a-test")
PRICE = Decimal("0.00001")


@pytest.fixture
def conversations(aws: Any, clock: Clock) -> Conversations:
    kept = Conversations(serial(aws), "ConversationsTable", seconds=3600, clock=clock)
    kept.connect(CONNECTION, Caller(tenant=TENANT), KEY_HASH)
    return kept


class Client:
    """A client of the chat with the messages it was sent; it may be gone, or slow."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.gone = False
        self.seen: Callable[[Message], None] = lambda _message: None

    def post(self, _connection: str, message: Message) -> None:
        if self.gone:
            raise ConnectionGone("gone")
        self.messages.append(message)
        self.seen(message)

    @property
    def last(self) -> Message:
        return self.messages[-1]

    @property
    def text(self) -> str:
        return "".join(one["content"] for one in self.messages if one["type"] == "token")


@pytest.fixture
def client() -> Client:
    return Client()


class Model:
    """A fake of `Asking` that yields pieces, and counts how many were taken and whether it was
    stopped.

    After its pieces it ends, fails with `failure`, or, if `endless`, goes silent. `refusal` is
    raised before it is permitted to ask.
    """

    def __init__(self, *pieces: str) -> None:
        self.pieces: tuple[str, ...] = pieces or ("Hello", " there", ".")
        self.failure: Exception | None = None
        self.refusal: Exception | None = None
        self.endless = False
        self.finish_reason = "stop"
        self.questions: list[Question] = []
        self.taken = 0
        self.booked: list[Answered] = []

    async def stream(
        self,
        _tenant: str,
        question: Question,
        *,
        deadline: Deadline,
        permitted: Callable[[], Awaitable[None]],
        use_cache: bool | None = None,
        stopped: Callable[[Answered], None] | None = None,
    ) -> AsyncGenerator[Delta | Answered]:
        if self.refusal is not None:
            raise self.refusal
        await permitted()
        self.questions.append(question)
        try:
            for piece in self.pieces:
                self.taken += 1
                yield Delta(piece)
            if self.endless:
                await asyncio.sleep(deadline.remaining() + 60)
            if self.failure is not None:
                raise self.failure
        except (GeneratorExit, asyncio.CancelledError):
            await asyncio.sleep(0)  # booking takes a while
            self.booked.append(self._answered(estimated=True))
            if stopped is not None:
                stopped(self.booked[-1])
            raise
        self.booked.append(self._answered())
        yield self.booked[-1]

    def _answered(self, *, estimated: bool = False) -> Answered:
        text = "".join(self.pieces[: self.taken])
        return Answered(
            text=text,
            finish_reason=None if estimated else self.finish_reason,
            model="gpt-4.1-nano",
            tokens=Tokens(input=10, output=self.taken),
            cost_usd=PRICE * self.taken,
            cost_estimated=estimated,
        )


@pytest.fixture
def model() -> Model:
    return Model()


class Voters:
    """Fake voters that say `unsafe` of texts with a word in them."""

    def __init__(self) -> None:
        self.unsafe = "nonsense"
        self.judged: list[str] = []
        self.spent = False

    def verdict(self, _tenant: str, content: Content, panel: Panel) -> Verdict:
        self.judged.append(content.text)
        decision = Decision.UNSAFE if self.unsafe in content.text else Decision.SAFE
        votes = tuple(make.cast(voter, decision) for voter in panel.voters)
        found = conclude_without_votes(make.evaluation(), "made up", DEFAULT, now=make.NOW)
        return found.model_copy(
            update={"decision": decision, "votes": votes, "cost_usd": Decimal("0.001")}
        )

    def panel_of(self, _tenant: str, name: str | None) -> Panel:
        if name == "unknown":
            raise PanelInvalid("there is no panel 'unknown'", path="panel")
        return panel.packaged(name or "default")

    def require_budget(self, _tenant: str) -> None:
        if self.spent:
            raise BudgetSpent("spent", code="budget_spent", limit="midnight")


@pytest.fixture
def voters() -> Voters:
    return Voters()


@pytest.fixture
def conversing(
    model: Model, conversations: Conversations, client: Client, voters: Voters
) -> Callable[..., Conversing]:
    def build(*, history_tokens: int = 1_000, buffer: int = BUFFER_CHARACTERS) -> Conversing:
        return Conversing(
            model,  # type: ignore[arg-type] # it streams, which is all that is asked of it
            conversations,
            client,  # type: ignore[arg-type] # it takes posts, likewise
            Voting(voters.verdict, voters.panel_of, voters.require_budget),
            history_tokens=history_tokens,
            pace=Pace(interval_seconds=0.0, watch_seconds=0.0, buffer_characters=buffer),
        )

    return build


Say = Callable[..., Message]


@pytest.fixture
def say(conversing: Callable[..., Conversing], conversations: Conversations, client: Client) -> Say:
    """Send a prompt, have it answered, and return the last message."""
    numbers = iter(range(1, 1_000))

    def send(
        prompt: str | None = "Hello?",
        *,
        conversation: str | None = None,
        build: dict[str, Any] | None = None,
        seconds: float = 60.0,
        **changes: Any,
    ) -> Message:
        request_id = f"request-{next(numbers)}"
        given = {"action": "chat", "prompt": prompt} | changes
        request = ChatRequest.model_validate(given)
        slot = conversations.open(CONNECTION, request_id)
        asked = Asked(
            connection=CONNECTION,
            tenant=TENANT,
            request_id=request_id,
            request=request,
            model="gpt-4.1-nano",
            conversation=conversation or "conversation-1",
            fresh=conversation is None,
            slot=slot,
        )
        answering = conversing(**(build or {})).converse(asked, Deadline.after(seconds))
        asyncio.run(asyncio.wait_for(answering, 30))
        return client.last

    return send
