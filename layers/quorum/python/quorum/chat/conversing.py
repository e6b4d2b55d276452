"""The streaming of one answer to its client, with moderation.

::

    claim the request                      a repeated event is answered once; meanwhile:
      └─ judge the prompt                  error prompt_unsafe; waits for the claim
      └─ read the history, as far as it fits
      └─ reserve a place in the limit, and wait for the claim
      └─ concurrently, until one of them ends it:
           read the answer → buffer → post   complete; the buffer is bounded
           watch the client                  cancelled, or nothing: the client has gone
           judge the answer by sentence      withdrawn
      └─ keep the turn

Whatever ends the answer also ends the call to the model, and its cost so far is booked
(`quorum.answer.asking`).
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

from quorum.answer.answers import Paid
from quorum.answer.questions import Answered, ChatMessage
from quorum.chat import chat, telemetry
from quorum.chat.conversations import History, Turn
from quorum.chat.moderation import AnswerChecks, Moderation, Objection
from quorum.chat.relay import BUFFER_CHARACTERS, INTERVAL_SECONDS, Relay
from quorum.core import registry
from quorum.core.errors import (
    ConnectionGone,
    InvalidRequest,
    ModelTimedOut,
    QuorumError,
    StoreUnavailable,
    StreamCut,
    VoteUnavailable,
)
from quorum.core.models import Tokens
from quorum.gateway import tokenizer
from quorum.gateway.deadline import Deadline
from quorum.vote.workflow import CLIENT_SECONDS

if TYPE_CHECKING:
    from quorum.answer.asking import Asking
    from quorum.answer.questions import Question
    from quorum.chat.chat import Asked, Message
    from quorum.chat.connections import Connections
    from quorum.chat.conversations import Conversations
    from quorum.core.models import Content, Verdict
    from quorum.ledger.ledger import Spending
    from quorum.vote.panel import Panel

WATCH_SECONDS = 0.25
"""Seconds between two checks that the client is connected and wants the answer."""
FINISHING_SECONDS = 5.0
"""Seconds kept free to book the cost, keep the turn and send the last message."""


class Voting(NamedTuple):
    """The vote machine, for chat; all of it blocks.

    `panel_of` returns the panel that a tenant names, or the default one, and raises `PanelInvalid`.
    `require_budget` raises `BudgetSpent`.
    """

    verdict: "Callable[[str, Content, Panel], Verdict]"
    panel_of: "Callable[[str, str | None], Panel]"
    require_budget: Callable[[str], None]


class Pace(NamedTuple):
    """The pace of sending: seconds between messages and between checks, and the buffer's size."""

    interval_seconds: float = INTERVAL_SECONDS
    watch_seconds: float = WATCH_SECONDS
    buffer_characters: int = BUFFER_CHARACTERS


USUAL_PACE = Pace()


class _Whole(NamedTuple):
    """An answer that came to its end, and the number of its messages."""

    answered: Answered
    messages: int


class _Cancelled(QuorumError):
    """Signals that the client does not want the answer any more."""


class _Repeated(QuorumError):
    """Signals that another run answers the request: its event came twice."""


@dataclass
class _Progress:
    """The progress of one answer; `paid` is the booked cost of its call.

    `claim` tells whether this run is the one that answers.
    """

    asked: "Asked"
    deadline: Deadline
    claim: "asyncio.Task[bool]"
    moderation: Moderation | None = None
    checks: AnswerChecks | None = None
    system: str | None = None
    dropped_turns: int = 0
    received: list[str] = field(default_factory=list)
    paid: "Spending | None" = None

    async def claimed(self) -> None:
        """Wait for the claim, before anything is paid or told; raises `_Repeated`."""
        # Another task may be cancelled while it waits, and the claim goes on.
        if not await asyncio.shield(self.claim):
            raise _Repeated

    def stopped(self, so_far: Answered) -> None:
        """Note the cost of a stopped call, for `Asking.stream`."""
        self.paid = so_far

    def asking_ends(self) -> Deadline:
        """The time by which the model must end, so that the rest can be judged and sent."""
        judging = 0.0 if self.checks is None else CLIENT_SECONDS
        return Deadline(self.deadline.expires_at - FINISHING_SECONDS - judging)

    def facts(self) -> "Message":
        """The facts about moderation that every last message has, if there was any."""
        if self.moderation is None:
            return {}
        done = self.moderation
        return {
            "moderation": {
                "checks": done.checks,
                "needs_review": done.for_review,
                "cost_usd": f"{done.cost_usd.normalize():f}",
            }
        }


class Conversing:
    """Answers chat requests; belongs to one event loop.

    `history_tokens` is the limit of a conversation's history sent to the model.
    """

    def __init__(
        self,
        asking: "Asking",
        conversations: "Conversations",
        connections: "Connections",
        voting: Voting,
        *,
        history_tokens: int,
        pace: Pace = USUAL_PACE,
    ) -> None:
        self._asking = asking
        self._conversations = conversations
        self._connections = connections
        self._voting = voting
        self._history_tokens = history_tokens
        self._pace = pace

    async def converse(self, asked: "Asked", deadline: Deadline) -> None:
        """Answer `asked` on its connection before `deadline`, unless another run has begun."""
        names = (asked.connection, asked.request_id)
        claim = asyncio.create_task(asyncio.to_thread(self._conversations.claim, *names))
        began = monotonic()
        progress = _Progress(asked, deadline, claim)
        try:
            try:
                last = await self._last_message(progress)
            finally:
                await progress.claimed()  # an error that came before it is told by one run only
                # Before the client hears of it, so that its next message finds a free slot.
                await self._close(asked)
            await self._post(asked, last)
        except ConnectionGone:
            last = chat.stopped("gone", asked, progress.paid)
        except _Repeated:
            return
        telemetry.chat_ended(asked.request_id, asked.model, last, seconds=monotonic() - began)

    async def _close(self, asked: "Asked") -> None:
        names = (asked.connection, asked.request_id, asked.slot)
        with suppress(StoreUnavailable):  # it is free after a while all the same
            await asyncio.to_thread(self._conversations.close, *names)

    # ---- the end of an answer ----------------------------------------------------------------

    async def _last_message(self, progress: _Progress) -> "Message":
        """The message that ends the answer; raises `ConnectionGone` if the client is gone."""
        asked = progress.asked
        try:
            async with asyncio.timeout(max(0.0, progress.deadline.remaining() - 1)):
                return await self._answered(progress)
        except (ConnectionGone, _Repeated):
            raise
        except _Cancelled:
            # The client has seen this much; an answer that was not judged to its end is not kept.
            seen = "" if progress.checks else "".join(progress.received)
            kept = await self._keep(progress, seen)
            return chat.stopped("cancelled", asked, progress.paid, kept=kept, **progress.facts())
        except Objection as objection:
            await self._keep(progress, "")
            told = _told(objection) | progress.facts()
            return chat.stopped("withdrawn", asked, progress.paid, **told)
        except TimeoutError:
            late = ModelTimedOut("the answer took too long")
            if (paid := progress.paid) is not None:
                late.tokens, late.cost_usd = paid.tokens, paid.cost_usd
                late.cost_estimated = paid.cost_estimated
            return chat.error(asked.request_id, late, **progress.facts())
        except Exception as failure:  # noqa: BLE001 - whatever it was, the client is told
            telemetry.chat_failed(asked.request_id, failure)
            return chat.error(asked.request_id, failure, **progress.facts())

    async def _keep(self, progress: _Progress, answer: str) -> bool:
        """Keep this turn in the conversation, unless it is empty; returns whether it was kept."""
        asked = progress.asked
        if asked.conversation is None:
            return False
        turn = Turn.said(asked.request.prompt or "", answer) if answer else None
        try:
            return await asyncio.to_thread(
                self._conversations.keep,
                asked.tenant,
                asked.conversation,
                asked.request_id,
                turn,
                system=progress.system,
            )
        except StoreUnavailable:  # the answer itself is complete
            return False

    # ---- the answer --------------------------------------------------------------------------

    async def _answered(self, progress: _Progress) -> "Message":
        """Produce the answer; returns its last message."""
        async with _together() as group:
            watching = group.create_task(self._watch(progress.asked))
            ended = await self._refused(progress) or await self._streamed(progress, group)
            watching.cancel()
        if not isinstance(ended, _Whole):
            return ended
        return chat.complete(
            progress.asked,
            ended.answered,
            ended.messages,
            dropped_turns=progress.dropped_turns,
            kept=await self._keep(progress, ended.answered.text),
            **progress.facts(),
        )

    async def _refused(self, progress: _Progress) -> "Message | None":
        """The refusal of the prompt, if the voters object; also sets up the moderation."""
        asked, wanted = progress.asked, progress.asked.request.moderate
        if not (wanted.prompt or wanted.answer):
            return None
        await progress.claimed()
        await asyncio.to_thread(self._voting.require_budget, asked.tenant)
        panel = await asyncio.to_thread(self._voting.panel_of, asked.tenant, wanted.panel)
        progress.moderation = moderation = Moderation(
            lambda content: self._voting.verdict(asked.tenant, content, panel),
            panel,
            strict=wanted.strict,
        )
        if wanted.prompt:
            try:
                await moderation.require_safe(asked.request.judged_prompt())
            except Objection as objection:
                refusal = InvalidRequest(
                    "the prompt could not be judged"
                    if objection.why == "unchecked"
                    else "the prompt was judged unsafe and is not sent to the model",
                    code=f"prompt_{objection.why}",
                    field="prompt",
                )
                told = _told(objection) | progress.facts()
                return chat.error(asked.request_id, refusal, **told)
        if wanted.answer:
            progress.checks = AnswerChecks(moderation)
        return None

    async def _streamed(self, progress: _Progress, group: asyncio.TaskGroup) -> _Whole:
        """Send the answer as it arrives, and judge it to its end."""
        asked, pace = progress.asked, self._pace
        question = await self._question(progress)

        async def post(index: int, text: str) -> None:
            await self._post(asked, chat.token(asked.request_id, index, text))

        relay = Relay(post, interval_seconds=pace.interval_seconds, limit=pace.buffer_characters)
        sending = group.create_task(relay.run())
        judging = None if progress.checks is None else group.create_task(progress.checks.run())
        ended: Answered | VoteUnavailable | StreamCut
        try:
            ended = await self._read(progress, question, relay)
            ended = ended.failure() or ended
        except (VoteUnavailable, StreamCut) as failure:
            ended = failure  # the text so far is still sent and judged
        progress.paid = _paid(ended)
        await relay.close()
        await sending
        if progress.checks is not None and judging is not None:
            progress.checks.close()
            await judging
        if not isinstance(ended, Answered):
            raise ended
        return _Whole(ended, relay.sent)

    async def _read(self, progress: _Progress, question: "Question", relay: Relay) -> Answered:
        """Read the answer and put each piece into the buffer."""
        asked = progress.asked
        stream = self._asking.stream(
            asked.tenant,
            question,
            deadline=progress.asking_ends(),
            use_cache=asked.request.use_cache,
            permitted=progress.claimed,
            stopped=progress.stopped,
        )
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                if isinstance(piece, Answered):
                    return piece
                progress.received.append(piece.text)
                if progress.checks is not None:
                    progress.checks.add(piece.text)
                await relay.add(piece.text)
                if not relay.sent:
                    await relay.begun()  # to read on would take the processor from the first token
        raise ModelTimedOut("the answer did not end in time")

    async def _watch(self, asked: "Asked") -> None:
        """Watch the client; raises `_Cancelled` or `ConnectionGone`."""
        names = (asked.connection, asked.request_id)
        while True:
            await asyncio.sleep(self._pace.watch_seconds)
            try:
                client = await asyncio.to_thread(self._conversations.client_state, *names)
            except StoreUnavailable:
                continue  # the next check may succeed
            if not client.connected:
                raise ConnectionGone("the client has gone")
            if client.cancelled:
                raise _Cancelled

    async def _post(self, asked: "Asked", message: "Message") -> None:
        await asyncio.to_thread(self._connections.post, asked.connection, message)

    # ---- history ------------------------------------------------------------------------------

    async def _question(self, progress: _Progress) -> "Question":
        """The question to the model, with as much of the history as fits."""
        asked, history = progress.asked, History(None, (), 0)
        if asked.conversation is not None and not asked.fresh:
            history = await asyncio.to_thread(
                self._conversations.history, asked.tenant, asked.conversation
            )
        progress.system = asked.request.system or history.system
        alone = asked.question((), progress.system)
        model = registry.model(asked.model)
        room = model.context_window - asked.request.max_tokens - _tokens(model, alone.messages)
        turns = fitting(history.turns, model, min(room, self._history_tokens))
        progress.dropped_turns = history.total - len(turns)
        said = tuple(message for turn in turns for message in turn.messages())
        return asked.question(said, progress.system)


def fitting(turns: Sequence[Turn], model: registry.Model, room: int) -> list[Turn]:
    """The latest of `turns` that fit `room` tokens of `model` together; the oldest are dropped."""
    kept: list[Turn] = []
    for turn in reversed(turns):
        room -= _tokens(model, turn.messages())
        if room < 0:
            break
        kept.append(turn)
    return kept[::-1]


def _tokens(model: registry.Model, messages: Sequence[ChatMessage]) -> int:
    """An estimate of tokens, rather too high than too low (`tokenizer.estimate`)."""
    estimate = tokenizer.estimate([message.model_dump() for message in messages])
    return math.ceil(estimate * model.token_factor)


def _paid(ended: Answered | VoteUnavailable | StreamCut) -> "Spending | None":
    """The cost of a call, however it ended."""
    if isinstance(ended, Answered):
        return ended
    return Paid(ended.tokens or Tokens(), ended.cost_usd, ended.cost_estimated)


def _told(objection: Objection) -> "Message":
    """The facts about an objection for the client: enough to look up the verdict."""
    verdict = objection.verdict
    return {
        "reason": objection.why,
        "verdict": None if verdict is None else verdict.id,
        "categories": objection.categories,
    }


@asynccontextmanager
async def _together() -> AsyncIterator[asyncio.TaskGroup]:
    """A task group that ends with its first failure and raises it outside of a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
