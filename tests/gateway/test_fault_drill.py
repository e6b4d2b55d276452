"""The fault drill: 1,000 votes while a fifth of all calls go wrong."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from decimal import Decimal
from importlib import resources
from typing import TYPE_CHECKING, Any

import pytest
from quorum.app.settings import StoreSettings
from quorum.aws import loop
from quorum.core import registry
from quorum.core.abstentions import AbstentionReason
from quorum.core.errors import VoteUnavailable
from quorum.core.models import Abstention, CastVote
from quorum.core.normalise import normalise
from quorum.gateway.client import Gateway
from quorum.gateway.deadline import Deadline
from quorum.gateway.fair_share import RateLimit
from quorum.gateway.limiter import Limiter
from quorum.ledger import ledger
from quorum.ledger.shards import added_up, keys_of
from quorum.vote import voting
from quorum.vote.policy import DEFAULT
from quorum.vote.voter import abstention_of, ask

from fakes.gateway import Fault, Scenario, StandIn, running
from tests import make

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import DynamoDBServiceResource


VOTES, AT_ONCE, SECONDS = 1_000, 50, 20.0
GPT = registry.model("gpt-4.1")
DRILL = Scenario.model_validate_json(
    resources.files("fakes.gateway").joinpath("drill.json").read_bytes()
)
BOOKED_VOTES = 80
"""Fewer, because moto copies its tables for every transaction."""


@pytest.fixture
def there() -> Iterator[StandIn]:
    with running(DRILL) as stand_in:
        yield stand_in


def test_every_vote_ends_as_a_vote_or_a_named_abstention_and_the_money_agrees(
    there: StandIn, gateway: Callable[..., Gateway]
) -> None:
    client = gateway(there)
    late: list[float] = []

    async def one(number: int, positions: asyncio.Semaphore) -> CastVote | Abstention:
        async with positions:
            deadline = Deadline.after(SECONDS)
            try:
                paid_vote = await ask(client, GPT, normalise(f"text {number}"), deadline)
            except VoteUnavailable as error:
                return abstention_of(GPT.name, error, 0)
            finally:
                if not deadline.remaining():
                    late.append(Deadline.after(0).expires_at - deadline.expires_at)
            return paid_vote.vote

    async def drill() -> list[CastVote | Abstention]:
        positions = asyncio.Semaphore(AT_ONCE)
        return await asyncio.gather(*(one(number, positions) for number in range(VOTES)))

    ended = loop.run(drill())
    abstained = Counter(end.reason for end in ended if isinstance(end, Abstention))
    met, rates = there.count.faults, DRILL.rates

    assert len(ended) == VOTES
    assert late == []
    # each fault was met about as often as it was meant to be
    for fault, rate in rates.items():
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
    assert sum(abstained.values()) < 1.5 * (rates[Fault.MALFORMED] + rates[Fault.TWO_MINDS]) * VOTES
    # to the last digit
    booked = sum((end.cost_usd for end in ended), Decimal(0))
    assert booked == there.count.cost_usd
    assert not any(end.cost_estimated for end in ended)
    assert sum(end.tokens.input for end in ended) == sum(
        entry.input for entry in there.count.billed.values()
    )


def test_the_ledger_equals_the_gateways_own_count_and_no_reservation_is_left(
    there: StandIn, gateway: Callable[..., Gateway], usage: "DynamoDBServiceResource"
) -> None:
    usage.create_table(
        TableName="Votes",
        KeySchema=[{"AttributeName": "vote_key", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "vote_key", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    rates = {fault: 2 * rate for fault, rate in DRILL.rates.items()}
    there.scenario = DRILL.model_copy(update={"rates": rates})
    limits = {GPT.name: RateLimit(requests_per_minute=10**6, tokens_per_minute=10**9)}
    limiter = Limiter(usage, "Usage", limits)
    settings = StoreSettings(
        votes_table="Votes",
        verdicts_table="Verdicts",
        usage_table="Usage",
        policies_table="Policies",
        models_table="Models",
    )
    vote_store = voting.VoteStore(
        usage, settings.votes_table, settings.usage_table, limiter=limiter
    )
    client = gateway(there, limiter=limiter)
    for number in range(BOOKED_VOTES):
        evaluation = make.evaluation(f"text {number}", deadline=time.time() + SECONDS)
        ask_now = voting.ask_gateway(evaluation, DEFAULT, GPT, lambda: client, int(SECONDS * 1000))
        vote_store.book(evaluation, DEFAULT, ask_now())

    items: dict[str, Any] = {
        str(item["key"]): item for item in usage.Table("Usage").scan()["Items"]
    }
    names = keys_of(ledger.usage_key(ledger.today(), GPT.name, "acme"))
    booked = added_up(items[name] for name in names if name in items)
    (billed,) = there.count.billed.values()
    assert booked["cost_usd"] == there.count.cost_usd == billed.cost_usd
    assert (int(booked["calls"]), int(booked["input_tokens"])) == (billed.calls, billed.input)
    assert booked["abstentions"] > 0
    assert not [key for key in items if key.startswith("intent#")]
