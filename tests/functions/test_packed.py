"""Batches that pack: one call of a model for several contents, and books as exact as before."""

import io
import json
import re
from collections import Counter
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from quorum.core.models import Decision, Tokens
from quorum.core.registry import model
from quorum.gateway.finish import Finish
from quorum.vote import packed_voting
from quorum.vote.evaluation import VotesRequest
from quorum.vote.panel import Majority, Panel, Stop
from quorum.vote.requests import VerdictRequest

from tests.world import (
    PRICE,
    Gateway,
    World,
    batch_booked,
    booked,
    decided,
    items,
    open_intents,
    stored,
)

PACK_PRICE = Decimal("0.000777001")
VOTERS = ("gpt-4.1", "gemini-2.5-flash", "deepseek-v3.2")
NAMES = dict.fromkeys(VOTERS, "voter")


def panel_of(_tenant: str, _name: str) -> Panel:
    return Panel(
        name="packed",
        rounds=(VOTERS[:2], VOTERS[2:]),
        stop=Stop.SETTLED,
        quorum=2,
        rule=Majority(),
        packed=4,
    )


class Functions:
    """Lambda and the models behind it; a text in `unread` gets no entry, one in `broken` fails."""

    def __init__(self, gateway: Gateway) -> None:
        self.world: World
        self.gateway = gateway
        self.unread: set[str] = set()
        self.broken: set[str] = set()
        self.mute: set[str] = set()
        self.packs: Counter[str] = Counter()
        self.sizes: list[int] = []
        self.billed = Decimal(0)

    def invoke(self, **given: Any) -> dict[str, Any]:
        event = json.loads(given["Payload"])
        voter = event["voter"]
        if voter in self.broken:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}
        evaluations = VotesRequest.model_validate(event).evaluations
        app = self.world.app
        first = evaluations[0]
        packed_voting.vote_on_pack(
            evaluations,
            app.policy_versions.of(first.tenant, first.policy),
            model(voter),
            app.vote_store,
            lambda: SimpleNamespace(complete=self.complete),  # type: ignore[arg-type, return-value] # the one method it calls
            10_000,
        )
        return {"Payload": io.BytesIO(b"[]")}

    async def complete(self, asked: Any, messages: Any, **how: Any) -> Any:
        found = re.findall(r"-----(\w+)-----\n(.*)", messages[1]["content"])
        self.packs[asked.name] += 1
        self.sizes.append(len(found))
        reservation = self.world.limiter.reserve(
            asked.name, 900, tenant=how["tenant"], cost_usd=PACK_PRICE
        )
        self.billed += PACK_PRICE
        votes = [
            {
                "text": marker,
                "decision": self.gateway.says.get(json.loads(text), Decision.SAFE),
                "confidence": 0.9,
                "categories": [],
                "reason": "",
            }
            for marker, text in found
            if json.loads(text) not in self.unread
        ]
        return SimpleNamespace(
            text="safe, all of them" if asked.name in self.mute else json.dumps({"votes": votes}),
            finish_reason=Finish.WHOLE,
            refusal=None,
            tokens=Tokens(input=701, output=99),
            cost_usd=PACK_PRICE,
            cost_estimated=False,
            model=asked.name,
            served_by="gateway",
            latency_ms=9,
            reservation=reservation,
        )


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def functions(gateway: Gateway) -> Functions:
    return Functions(gateway)


@pytest.fixture
def world(aws: Any, gateway: Gateway, functions: Functions) -> World:
    functions.world = World(
        aws, gateway, panel_of=panel_of, functions=functions, voter_functions=NAMES
    )
    return functions.world


def test_a_pack_is_one_call_and_its_verdicts_cost_what_it_cost(
    world: World, functions: Functions, gateway: Gateway, aws: Any
) -> None:
    gateway.says["three"] = Decision.UNSAFE
    world.new_batch(4)
    assert set(world.judge(items("one", "two", "three", "four")).values()) == {None}
    assert functions.packs == {"gpt-4.1": 1, "gemini-2.5-flash": 1}
    assert not gateway.calls  # nobody was asked alone
    view = world.view()
    assert (view.state, view.decisions) == ("complete", {"safe": 3, "unsafe": 1, "needs_review": 0})
    assert view.cost_usd == functions.billed == booked(aws) == batch_booked(aws) == 2 * PACK_PRICE
    assert open_intents(aws) == 0
    votes = json.loads(next(iter(stored(aws).values()))["verdict"])["votes"]
    assert {vote["packed"] for vote in votes} == {4}


def test_a_message_that_comes_again_buys_no_pack_again(
    world: World, functions: Functions, aws: Any
) -> None:
    world.new_batch(4)
    texts = items("one", "two", "three", "four")
    world.judge(texts)
    before = (booked(aws), functions.billed, decided(aws))
    world.judge([*texts, *texts])
    assert (booked(aws), functions.billed, decided(aws)) == before


def test_a_content_without_an_entry_is_asked_about_alone_and_its_neighbours_are_not(
    world: World, functions: Functions, gateway: Gateway, aws: Any
) -> None:
    functions.unread.add("two")
    world.new_batch(3)
    assert set(world.judge(items("one", "two", "three")).values()) == {None}
    assert gateway.calls == {("gpt-4.1", "two"): 1, ("gemini-2.5-flash", "two"): 1}
    view = world.view()
    assert view.cost_usd == booked(aws) == batch_booked(aws) == functions.billed + gateway.billed
    assert gateway.billed == 2 * PRICE


def test_a_reply_that_cannot_be_read_is_paid_once_and_every_content_is_asked_about_alone(
    world: World, functions: Functions, gateway: Gateway, aws: Any
) -> None:
    functions.mute.add("gpt-4.1")
    world.new_batch(3)
    assert set(world.judge(items("one", "two", "three")).values()) == {None}
    assert functions.packs == {"gpt-4.1": 1, "gemini-2.5-flash": 1}
    assert set(gateway.calls) == {("gpt-4.1", text) for text in ("one", "two", "three")}
    assert booked(aws) == batch_booked(aws) == functions.billed + gateway.billed
    assert open_intents(aws) == 0


def test_a_function_that_fails_leaves_its_packs_to_the_machine(
    world: World, functions: Functions, gateway: Gateway, aws: Any
) -> None:
    functions.broken.update(VOTERS)
    world.new_batch(3)
    assert set(world.judge(items("one", "two", "three")).values()) == {None}
    assert sum(gateway.calls.values()) == 3 * 2
    assert world.view().cost_usd == booked(aws) == gateway.billed


def test_contents_of_two_tenants_are_never_in_one_pack(
    world: World, functions: Functions, gateway: Gateway
) -> None:
    texts = items("one", "two", batch=None)
    others = [one._replace(verdict_id=f"{one.verdict_id}-b", tenant="globex") for one in texts]
    told: list[set[str]] = []

    def noted(**given: Any) -> dict[str, Any]:
        evaluations = json.loads(given["Payload"])["evaluations"]
        told.append({one["tenant"] for one in evaluations})
        return invoke(**given)

    invoke, functions.invoke = functions.invoke, noted  # type: ignore[method-assign] # noted first
    assert set(world.judge([*texts, *others]).values()) == {None}
    assert sorted(map(sorted, told)) == [["acme"]] * 2 + [["globex"]] * 2
    assert not gateway.calls  # nobody was asked alone


def test_only_what_a_round_left_open_is_packed_in_the_next(
    world: World, functions: Functions, gateway: Gateway
) -> None:
    async def differing(asked: Any, messages: Any, **how: Any) -> Any:
        gateway.says = dict.fromkeys(("one", "two"), Decision.UNSAFE)
        if asked.name == "gemini-2.5-flash":
            gateway.says = {}
        return await complete(asked, messages, **how)

    complete, functions.complete = functions.complete, differing  # type: ignore[method-assign] # two models that differ
    world.new_batch(4)
    assert set(world.judge(items("one", "two", "three", "four")).values()) == {None}
    assert functions.packs == dict.fromkeys(VOTERS, 1)
    assert sorted(functions.sizes) == [2, 4, 4]
    assert not gateway.calls


def test_ten_contents_make_packs_as_even_as_their_number_allows(
    world: World, functions: Functions
) -> None:
    world.new_batch(10)
    world.judge(items(*(f"text {number}" for number in range(10))))
    assert sorted(functions.sizes) == [2, 2, 4, 4, 4, 4]
    assert world.view().state == "complete"


def test_contents_with_a_context_and_long_ones_are_asked_about_alone(
    world: World, functions: Functions, gateway: Gateway
) -> None:
    world.new_batch(3)
    some = items("one", "x" * 10_000, "two")
    in_context = VerdictRequest(content="one", language="en", context={"parent": "a game"})
    some[0] = some[0]._replace(request=in_context)
    world.judge(some)
    assert not functions.packs
    assert sum(gateway.calls.values()) == 3 * 2


def test_a_packed_vote_answers_packing_panels_only(
    aws: Any, world: World, functions: Functions, gateway: Gateway
) -> None:
    world.new_batch(2)
    world.judge(items("one", "two"))
    alone = World(
        aws, gateway, panel_of=lambda *names: panel_of(*names).model_copy(update={"packed": 1})
    )
    alone.judge(items("one", batch=None))
    assert sum(gateway.calls.values()) == 2  # bought alone, although packed votes are cached
    world.judge(items("one", batch=None, start=5))
    assert sum(gateway.calls.values()) == 2
    assert functions.packs == {"gpt-4.1": 1, "gemini-2.5-flash": 1}
