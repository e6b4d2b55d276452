"""The fault drill: 2,000 votes while a fifth of all calls go wrong."""

import asyncio
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from quorum import loop, registry
from quorum.deadline import Deadline
from quorum.errors import VoteUnavailable
from quorum.gateway import Gateway
from quorum.models import Abstention, AbstentionReason, CastVote
from quorum.normalise import normalise
from quorum.voter import abstention_of, ask

from bench.gateway import Fault, ModelScenario

VOTES, AT_ONCE, SECONDS = 2_000, 50, 20.0
GPT = registry.model("gpt-4.1")
RATES = {
    Fault.THROTTLED: 0.10,
    Fault.SERVER_ERROR: 0.02,
    Fault.BAD_GATEWAY: 0.015,
    Fault.UNAVAILABLE: 0.015,
    Fault.RESET: 0.02,
    Fault.MALFORMED: 0.01,
    Fault.TWO_MINDS: 0.005,
    Fault.PAGE: 0.005,
}


def test_every_vote_ends_as_a_vote_or_a_named_abstention_and_the_money_agrees(
    stand_in: Any, gateway: Callable[..., Gateway]
) -> None:
    quick = ModelScenario(latency_ms=3, spread=0.5)
    there = stand_in(seed=7, rates=RATES, retry_after="0.02", every_model=quick)
    client = gateway(there)
    late: list[float] = []

    async def one(number: int, places: asyncio.Semaphore) -> CastVote | Abstention:
        async with places:
            deadline = Deadline.after(SECONDS)
            try:
                ballot = await ask(client, GPT, normalise(f"text {number}"), deadline)
            except VoteUnavailable as error:
                return abstention_of(GPT.name, error, 0)
            finally:
                if not deadline.remaining():
                    late.append(Deadline.after(0).expires_at - deadline.expires_at)
            return ballot.vote

    async def drill() -> list[CastVote | Abstention]:
        places = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(one(number, places) for number in range(VOTES)))

    ended = loop.run(drill())
    abstained = Counter(end.reason for end in ended if isinstance(end, Abstention))
    met, malformed = there.count.faults, RATES[Fault.MALFORMED] + RATES[Fault.TWO_MINDS]

    assert len(ended) == VOTES
    assert late == []
    # each fault was met about as often as it was meant to be
    for fault, rate in RATES.items():
        assert 0.5 * rate < met[fault] / there.count.requests < 1.6 * rate, fault
    assert there.count.requests <= 1.25 * VOTES
    # what was answered and is no vote was paid, and never asked again
    assert (
        abstained[AbstentionReason.REPLY_UNREADABLE] == met[Fault.MALFORMED] + met[Fault.TWO_MINDS]
    )
    assert set(abstained) <= {
        AbstentionReason.REPLY_UNREADABLE,
        AbstentionReason.THROTTLED,
        AbstentionReason.UNAVAILABLE,
    }
    assert sum(abstained.values()) < 1.5 * malformed * VOTES
    # to the last digit
    booked = sum((end.cost_usd for end in ended), Decimal(0))
    assert booked == there.count.cost_usd
    assert not any(end.cost_estimated for end in ended)
    assert sum(end.tokens.input for end in ended) == sum(
        entry.input for entry in there.count.billed.values()
    )
