"""Asks models for a tenant, within its budget; answers are cached and every token is booked.

::

    answer / stream
      └─ the budget                                            BudgetSpent
      └─ the cached answer, if the question may have one       counted as a hit
      └─ one of several callers with the same question asks, the others wait for its answer
      └─ the gateway                                           VoteUnavailable, StreamCut
      └─ booked: the cost, the end of the reservation and the cached answer are one transaction

Chat and documents use it. The cost is booked even if the answer is not used.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from quorum.answer.answers import Answers, Bill, Paid, key_of
from quorum.answer.questions import Answered
from quorum.core import registry
from quorum.core.errors import (
    ModelTimedOut,
    StreamCut,
    VoteUnavailable,
)
from quorum.gateway.call import Completion
from quorum.gateway.client import Delta

if TYPE_CHECKING:
    from quorum.answer.questions import Question
    from quorum.aws.leases import Leases
    from quorum.core.registry import Model
    from quorum.gateway.client import Gateway
    from quorum.gateway.deadline import Deadline
    from quorum.ledger.budget import Budget

WAIT_SECONDS = 0.1
"""Seconds between two looks for an answer that another caller is asking for."""


LONGEST_CLAIM_SECONDS = 60.0
"""Seconds after which a crashed caller's lease expires. A longer call may be made twice."""


@dataclass(frozen=True, slots=True)
class _Inquiry:
    """One question with its tenant, its deadline, and the key of its answer if it may be cached."""

    bill: Bill
    question: "Question"
    model: "Model"
    deadline: "Deadline"
    key: str | None
    expected_output_tokens: int | None = None

    def asked(self) -> dict[str, Any]:
        """The arguments for the gateway."""
        return {
            "max_output_tokens": self.question.max_output_tokens,
            "deadline": self.deadline,
            "sampling": self.question,
            "schema": self.question.reply_schema,
            "json_object": self.question.reply_json,
            "expected_output_tokens": self.expected_output_tokens,
            "tenant": self.bill.tenant,
        }

    def messages(self) -> list[dict[str, str]]:
        """The messages as JSON types."""
        return [message.model_dump() for message in self.question.messages]


class Asking:
    """Asks `gateway`, which is opened at the first cache miss; belongs to one event loop."""

    def __init__(
        self,
        gateway: "Callable[[], Gateway]",
        answers: Answers,
        claims: "Leases",
        budget: "Budget",
    ) -> None:
        self._gateway = gateway
        self._answers = answers
        self._claims = claims
        self._budget = budget

    async def answer(
        self,
        tenant: str,
        question: "Question",
        *,
        deadline: "Deadline",
        use_cache: bool | None = None,
        batch: str | None = None,
        bought_for: str | None = None,
        expected_output_tokens: int | None = None,
    ) -> Answered:
        """The whole answer, before `deadline`.

        `use_cache`: None caches answers at temperature 0, True all, False none. The cost is booked
        to `batch` too; `bought_for` names the work that the answer is for, which finds it again
        with its cost. Raises `ModelUnknown`, `BudgetSpent`, `StoreUnavailable` and
        `VoteUnavailable`. An answer that is not whole is returned as it is, and not cached:
        `Answered.failure` names what it is.
        """
        model = registry.answering(question.model)
        bill = Bill(tenant, model.name, batch, bought_for)
        key = _key(tenant, question, use_cache=use_cache)
        inquiry = _Inquiry(bill, question, model, deadline, key, expected_output_tokens)
        async with self._turn(inquiry) as kept:
            if kept is not None:
                return kept
            try:
                completion = await self._gateway().complete(
                    inquiry.model, inquiry.messages(), **inquiry.asked()
                )
            except VoteUnavailable as error:
                await self._book_failure(inquiry, error)
                raise
            return await self._book(inquiry, completion)

    async def stream(
        self,
        tenant: str,
        question: "Question",
        *,
        deadline: "Deadline",
        use_cache: bool | None = None,
        permitted: Callable[[], Awaitable[None]] | None = None,
        stopped: Callable[[Answered], None] | None = None,
    ) -> AsyncGenerator[Delta | Answered]:
        """The answer piece by piece, and at the end the whole answer.

        As `answer`; also raises `StreamCut`. `permitted` is waited for before the gateway is
        called or the cache is used; what it raises ends the call, which has then cost nothing. A
        caller that stops listening (by `aclose`, as `aclosing` does, or by being cancelled) ends
        the call: the tokens that had come are booked, and `stopped` is called with them.
        """
        model = registry.answering(question.model)
        key = _key(tenant, question, use_cache=use_cache)
        inquiry = _Inquiry(Bill(tenant, model.name), question, model, deadline, key)
        left: list[Completion] = []
        if permitted is not None and key is not None:
            await permitted()
        async with self._turn(inquiry) as kept:
            if kept is not None:
                yield Delta(kept.text)
                yield kept
                return
            pieces = self._gateway().stream(
                inquiry.model,
                inquiry.messages(),
                **inquiry.asked(),
                permitted=permitted,
                stopped=left.append,
            )
            try:
                async with aclosing(pieces):
                    async for piece in pieces:
                        if isinstance(piece, Delta):
                            yield piece
                        else:
                            yield await self._book(inquiry, piece)
            except (VoteUnavailable, StreamCut) as error:
                await self._book_failure(inquiry, error)
                raise
            finally:
                for completion in left:
                    so_far = await asyncio.shield(self._book(inquiry, completion, whole=False))
                    if stopped is not None:
                        stopped(so_far)

    async def close(self) -> None:
        """Close the connections to the gateway; the next question opens new ones."""
        await self._gateway().close()

    # ---- cached answers ----------------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, inquiry: _Inquiry) -> AsyncIterator[Answered | None]:
        """The cached answer; or None, with the lease on the question while the block lasts."""
        await asyncio.to_thread(self._budget.check, inquiry.bill.tenant)
        if inquiry.key is None:
            yield None
            return
        owner = uuid4().hex
        while True:
            kept = await asyncio.to_thread(self._find, inquiry)
            if kept is not None:
                yield kept
                return
            seconds = inquiry.deadline.remaining()
            if not seconds:
                raise ModelTimedOut("another caller is asking the same and has no answer yet")
            held = min(seconds, LONGEST_CLAIM_SECONDS)
            if await asyncio.to_thread(self._claims.take, inquiry.key, owner, held):
                break
            await asyncio.sleep(min(WAIT_SECONDS, seconds))
        try:
            # Another caller may have left its answer between the look and the lease.
            yield await asyncio.to_thread(self._find, inquiry)
        finally:
            await asyncio.shield(asyncio.to_thread(self._claims.release, inquiry.key, owner))

    def _find(self, inquiry: _Inquiry) -> Answered | None:
        found = self._answers.find(str(inquiry.key), inquiry.bill.bought_for)
        if found is not None and found.cached:
            self._answers.hit(inquiry.bill.tenant, found)
        return found

    # ---- booking -----------------------------------------------------------------------------

    async def _book(
        self, inquiry: _Inquiry, completion: Completion, *, whole: bool = True
    ) -> Answered:
        """Book a completion; a `whole` one is cached if it may be and is an answer.

        An answer that nothing was billed for is not cached.
        """
        answered = Answered(
            text=completion.text,
            finish_reason=completion.finish_reason,
            refusal=completion.refusal,
            model=completion.model,
            tokens=completion.tokens,
            cost_usd=completion.cost_usd,
            cost_estimated=completion.cost_estimated,
            latency_ms=completion.latency_ms,
            first_token_ms=completion.first_token_ms,
        )
        await asyncio.to_thread(
            self._answers.book,
            inquiry.bill,
            answered,
            completion.reservation,
            key=inquiry.key,
            keep=whole and answered.failure() is None and not completion.unbilled,
        )
        return answered

    async def _book_failure(self, inquiry: _Inquiry, error: VoteUnavailable | StreamCut) -> None:
        """Book the cost of a failed call, if it had one."""
        if error.tokens is None or not error.tokens.total:
            return
        paid = Paid(error.tokens, error.cost_usd, error.cost_estimated)
        await asyncio.to_thread(self._answers.book_failure, inquiry.bill, paid, error.reservation)


def _key(tenant: str, question: "Question", *, use_cache: bool | None) -> str | None:
    """The key of the cached answer; None if the cache is not to be used."""
    wanted = question.temperature == 0 if use_cache is None else use_cache
    return key_of(tenant, question) if wanted else None
