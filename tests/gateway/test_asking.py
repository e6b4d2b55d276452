"""Answers of models: cached ones are found, and every cost is booked however the call ended."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import pytest
from quorum.answer.answers import Answers
from quorum.answer.asking import Asking
from quorum.answer.questions import Answered, ChatMessage, Question
from quorum.aws import loop
from quorum.aws.leases import Leases
from quorum.batch.alerts import BatchBudget
from quorum.batch.records import Batches
from quorum.core.errors import (
    AnswerCut,
    AnswerEmpty,
    AnswerFailed,
    AnswerUnusable,
    BudgetSpent,
    Conflict,
    InvalidRequest,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    StreamCut,
)
from quorum.gateway.client import Delta, Gateway
from quorum.gateway.deadline import Deadline
from quorum.gateway.limiter import Limiter
from quorum.ledger import ledger
from quorum.ledger.budget import Thresholds
from quorum.ledger.costs import Costs

from fakes.gateway import Fault, ModelScenario, StandIn
from tests.functions.conftest import make_tables
from tests.transactions import transactions
from tests.world import serial

MODEL = "gpt-4.1-nano"


def question(text: str = "Tell me something.", **changes: Any) -> Question:
    return Question(
        **{
            "model": MODEL,
            "messages": (ChatMessage(role="user", content=text),),
            "max_output_tokens": 32,
            "temperature": 0.0,
        }
        | changes
    )


class Deployment:
    """An `Asking` over the template's tables, and what is in them."""

    def __init__(self, dynamodb: Any, gateway: Callable[..., Gateway]) -> None:
        self._dynamodb = serial(dynamodb)
        self._gateway = gateway
        self.now = 1_800_000_000.0
        self._limiter = Limiter(self._dynamodb, "UsageTable")

    def asking(
        self, *there: StandIn, thresholds: Thresholds | None = None, **options: Any
    ) -> Asking:
        tables: Any = self._dynamodb
        client = self._gateway(*there, limiter=self._limiter, **options)
        batches = Batches(tables, "VerdictsTable", "UsageTable", days=1)
        unset: Any = None
        return Asking(
            lambda: client,
            self.answers(),
            Leases(tables, "AnswersTable", key="answer_key"),
            BatchBudget(tables, "UsageTable", batches, thresholds or Thresholds(), (unset, "")),
        )

    def answers(self) -> Answers:
        tables: Any = self._dynamodb
        return Answers(
            tables, "AnswersTable", "UsageTable", self._limiter, seconds=60, clock=lambda: self.now
        )

    def items(self, kind: str) -> list[dict[str, Any]]:
        found = self._dynamodb.meta.client.scan(TableName="UsageTable")["Items"]
        return [item for item in found if str(item["key"]).startswith(f"{kind}#")]

    def booked(self) -> Decimal:
        return sum((item["cost_usd"] for item in self.items("usage")), Decimal(0))

    def report(self) -> Any:
        tables: Any = self._dynamodb
        costs = Costs(tables, "UsageTable", krw_per_usd=Decimal(1), krw_as_of=ledger.today())
        return costs.report("acme", ledger.today(), ledger.today(), "model")

    def statistics(self, tenant: str = "acme") -> Any:
        return self.answers().statistics(tenant, ledger.today(), ledger.today())


@pytest.fixture
def deployed(account: Any, gateway: Callable[..., Gateway]) -> Deployment:
    make_tables(account)
    return Deployment(account, gateway)


def answer(asking: Asking, asked: Question, tenant: str = "acme", **options: Any) -> Answered:
    options = {"deadline": Deadline.after(20)} | options
    return loop.run(asking.answer(tenant, asked, **options))


def listen(
    asking: Asking, asked: Question, most: int | None = None, **options: Any
) -> list[Delta | Answered]:
    """The pieces of a streamed answer; no more than `most` are listened to."""

    async def listened() -> list[Delta | Answered]:
        heard: list[Delta | Answered] = []
        pieces: AsyncGenerator[Delta | Answered] = asking.stream(
            "acme", asked, deadline=Deadline.after(20), **options
        )
        async with aclosing(pieces):
            async for piece in pieces:
                heard.append(piece)
                if len(heard) == most:
                    break
        return heard

    return loop.run(listened())


def billed_output(there: StandIn) -> int:
    """The tokens of the one answer it bills, once it does: a moment after its listener has gone."""
    patience = time.monotonic() + 10
    while not there.count.billed:
        assert time.monotonic() < patience
        time.sleep(0.01)
    (billed,) = there.count.billed.values()
    return billed.output


def test_an_answer_is_booked_as_the_gateway_bills_it(stand_in: Any, deployed: Deployment) -> None:
    there = stand_in()
    answered = answer(deployed.asking(there), question(), batch="b1")
    assert answered.cost_usd == deployed.booked() == there.count.cost_usd > 0
    assert deployed.items("intent") == []
    (of_batch,) = deployed.items("batch")
    assert of_batch["cost_usd"] == answered.cost_usd


def test_the_same_question_is_answered_again_for_nothing(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in()
    asking = deployed.asking(there)
    first, again = answer(asking, question()), answer(asking, question())
    assert (again.text, again.cached) == (first.text, True)
    assert again.cost_usd == 0
    assert again.saved_usd == first.cost_usd
    assert there.count.requests == 1
    assert deployed.booked() == there.count.cost_usd
    counted = deployed.statistics()
    assert (counted.hits, counted.misses, counted.hit_rate) == (1, 1, 0.5)
    assert (counted.saved_tokens, counted.saved_usd) == (first.tokens.total, first.cost_usd)
    assert deployed.report().totals.saved_usd == first.cost_usd


def test_answers_of_one_environment_are_booked_without_a_failed_transaction(
    stand_in: Any, deployed: Deployment, account: Any
) -> None:
    asking = deployed.asking(stand_in(Fault.NONE, Fault.CUT, Fault.CUT), max_attempts=2)
    with transactions(account.meta.client) as made:
        answer(asking, question())
        with pytest.raises(ModelUnavailable):
            answer(asking, question("And this?"))  # is paid for all the same
        answer(asking, question("Another?"))
    assert made == [200] * 6  # each a reservation and a booking


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (ChatMessage(role="user", content="Tell me something!"),)},
        {"messages": (ChatMessage(role="system", content="Tell me something."),)},
        {"model": "gpt-4.1-mini"},
        {"max_output_tokens": 31},
        {"seed": 7},
        {"top_p": 0.5},
        {"stop": ("END",)},
        {"reply_json": True},
        {"reply_schema": {"type": "object"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_is_asked_anew(
    stand_in: Any, deployed: Deployment, change: dict[str, Any]
) -> None:
    there = stand_in()
    asking = deployed.asking(there)
    answer(asking, question())
    assert not answer(asking, question(**change)).cached
    assert there.count.requests == 2


def test_an_alias_is_the_same_model(stand_in: Any, deployed: Deployment) -> None:
    asking = deployed.asking(stand_in())
    answer(asking, question())
    assert answer(asking, question(model="gpt-4.1-nano-2025-04-14")).cached


def test_another_tenants_answer_is_never_found(stand_in: Any, deployed: Deployment) -> None:
    asking = deployed.asking(stand_in())
    answer(asking, question())
    assert not answer(asking, question(), tenant="other").cached
    assert deployed.statistics("other").hits == 0


def test_a_drawn_answer_is_kept_only_where_that_is_asked_for(
    stand_in: Any, deployed: Deployment
) -> None:
    asking = deployed.asking(stand_in())
    drawn = question(temperature=1.0)
    assert [answer(asking, drawn).cached for _ in range(2)] == [False, False]
    assert [answer(asking, drawn, use_cache=True).cached for _ in range(2)] == [False, True]
    assert not answer(asking, drawn, use_cache=False).cached
    counted = deployed.statistics()
    assert (counted.not_cacheable, counted.misses, counted.hits) == (3, 1, 1)


def test_a_kept_answers_time_comes_to_an_end(stand_in: Any, deployed: Deployment) -> None:
    asking = deployed.asking(stand_in())
    answer(asking, question())
    deployed.now += 61
    assert not answer(asking, question()).cached


def test_an_answer_bought_for_a_piece_of_work_is_found_by_it_as_it_was_bought(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in()
    asking = deployed.asking(there)
    first = answer(asking, question(), use_cache=True, bought_for="item-1")
    assert answer(asking, question(), use_cache=True, bought_for="item-1") == first
    assert answer(asking, question(), use_cache=True, bought_for="item-2").cached
    assert deployed.booked() == there.count.cost_usd == first.cost_usd
    assert deployed.statistics().hits == 1


def test_the_same_question_asked_by_many_at_once_is_asked_once(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(every_model=ModelScenario(latency_ms=300))
    asking, other = deployed.asking(there), deployed.asking(there)

    async def at_once() -> list[Answered]:
        return await asyncio.gather(
            *(
                one.answer("acme", question(), deadline=Deadline.after(20))
                for one in (asking, other, asking, other)
            )
        )

    answers = loop.run(at_once())
    assert there.count.requests == 1
    assert sorted(one.cached for one in answers) == [False, True, True, True]
    assert len({one.text for one in answers}) == 1


def test_when_the_one_who_asks_fails_the_next_in_line_asks(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(Fault.UNAVAILABLE, every_model=ModelScenario(latency_ms=200))
    asking = deployed.asking(there, max_attempts=1)

    async def at_once() -> list[Any]:
        return await asyncio.gather(
            *(asking.answer("acme", question(), deadline=Deadline.after(20)) for _ in range(2)),
            return_exceptions=True,
        )

    failed, answered = sorted(loop.run(at_once()), key=lambda one: isinstance(one, Answered))
    assert isinstance(failed, ModelUnavailable)
    assert not answered.cached
    assert deployed.booked() == there.count.cost_usd


def test_who_waits_for_anothers_answer_waits_no_longer_than_his_time(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(every_model=ModelScenario(latency_ms=1500))
    asking = deployed.asking(there)

    async def both() -> tuple[Answered | BaseException, ...]:
        first = asyncio.create_task(asking.answer("acme", question(), deadline=Deadline.after(20)))
        while not (there.count.requests or first.done()):  # noqa: ASYNC110 the stand-in has a count and no event
            await asyncio.sleep(0.01)
        second = asking.answer("acme", question(), deadline=Deadline.after(0.5))
        return await asyncio.gather(first, second, return_exceptions=True)

    answered, late = loop.run(both())
    assert isinstance(answered, Answered)
    assert isinstance(late, ModelTimedOut)
    assert there.count.requests == 1


def test_a_spent_budget_asks_nobody(stand_in: Any, deployed: Deployment) -> None:
    there = stand_in()
    asking = deployed.asking(there, thresholds=Thresholds(budget_tenant_usd=Decimal("0.000001")))
    answer(asking, question())
    with pytest.raises(BudgetSpent):
        answer(asking, question("Another."))
    assert there.count.requests == 1


def test_an_embedded_voter_answers_nothing(stand_in: Any, deployed: Deployment) -> None:
    with pytest.raises(InvalidRequest) as caught:
        answer(deployed.asking(stand_in()), question(model="rules"))
    assert caught.value.field == "model"


def test_a_streamed_answer_is_its_pieces_and_is_kept_whole(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in()
    asking = deployed.asking(there)
    *pieces, whole = listen(asking, question())
    assert isinstance(whole, Answered)
    assert "".join(piece.text for piece in pieces) == whole.text
    again, kept = listen(asking, question())
    assert isinstance(kept, Answered)
    assert again == Delta(whole.text)
    assert kept.cached
    assert answer(asking, question()).cached
    assert deployed.booked() == there.count.cost_usd


def test_who_stops_listening_ends_the_call_and_pays_for_what_had_come(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(every_model=ModelScenario(tokens_per_second=50))
    asking = deployed.asking(there)
    told: list[Answered] = []
    heard = listen(asking, question(), most=4, stopped=told.append)
    (so_far,) = told
    assert so_far.text == "".join(piece.text for piece in heard)
    assert 4 <= billed_output(there) < 32, "the model was stopped"
    assert so_far.cost_estimated
    assert deployed.booked() == so_far.cost_usd
    assert 0 < so_far.cost_usd <= there.count.cost_usd
    assert deployed.items("intent") == []
    assert not answer(asking, question()).cached, "half an answer is not kept"


def test_a_listener_who_is_cancelled_while_nothing_comes_pays_for_what_had_come(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(every_model=ModelScenario(tokens_per_second=0.5))
    asking = deployed.asking(there)
    told: list[Answered] = []

    async def cancelled() -> None:
        begun = asyncio.Event()

        async def listening() -> None:
            pieces = asking.stream(
                "acme", question(), deadline=Deadline.after(60), stopped=told.append
            )
            async with aclosing(pieces):
                async for _ in pieces:
                    begun.set()

        task = asyncio.create_task(listening())
        heard = asyncio.create_task(begun.wait())
        await asyncio.wait([task, heard], return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop.run(cancelled())
    assert len(told) == 1
    assert deployed.booked() == told[0].cost_usd > 0
    assert deployed.items("intent") == []


@pytest.mark.parametrize("use_cache", [False, True])
def test_what_is_not_permitted_is_neither_asked_nor_told_and_gives_its_place_back(
    stand_in: Any, deployed: Deployment, use_cache: bool
) -> None:
    there = stand_in()
    asking = deployed.asking(there)
    if use_cache:
        answer(asking, question())
    before = there.count.requests

    async def refused() -> None:
        raise Conflict("somebody else asks", code="conflict")

    with pytest.raises(Conflict):
        listen(asking, question(), use_cache=use_cache, permitted=refused)
    assert there.count.requests == before
    assert deployed.items("intent") == []
    if use_cache:
        (counted,) = deployed.items("answers")
        assert "hits" not in counted


def test_a_place_is_reserved_while_permission_is_waited_for(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in()
    held: list[int] = []

    async def permitted() -> None:
        held.append(len(deployed.items("intent")))
        assert there.count.requests == 0

    *_, last = listen(deployed.asking(there), question(), use_cache=False, permitted=permitted)
    assert held == [1]
    assert isinstance(last, Answered)
    assert deployed.booked() == last.cost_usd


def test_a_stream_that_is_cut_is_booked_for_what_arrived(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(Fault.CUT)
    with pytest.raises(StreamCut) as caught:
        listen(deployed.asking(there), question())
    assert deployed.booked() == caught.value.cost_usd > 0
    assert deployed.booked() <= there.count.cost_usd
    assert deployed.items("intent") == []


def test_an_answer_that_cannot_be_read_is_paid_for_all_the_same(
    stand_in: Any, deployed: Deployment
) -> None:
    there = stand_in(Fault.CUT, Fault.CUT)
    with pytest.raises(ModelUnavailable):
        answer(deployed.asking(there, max_attempts=2), question())
    assert deployed.booked() >= there.count.cost_usd > 0
    assert deployed.report().totals.estimated_cost_usd == deployed.booked()
    assert deployed.items("intent") == []


USED = {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}
HALF = "The first half of"
NOT_WHOLE: list[tuple[Any, Any, type[Exception]]] = [
    ("length", HALF, AnswerCut),
    ("MAX_TOKENS", HALF, AnswerCut),
    ("max_tokens", HALF, AnswerCut),
    ("content_filter", HALF, ModelRefused),
    ("content_filter: PROHIBITED_CONTENT", HALF, ModelRefused),
    ("SAFETY", HALF, ModelRefused),
    ("recitation", HALF, ModelRefused),
    ("refusal", HALF, ModelRefused),
    ("error", HALF, AnswerFailed),
    ("insufficient_system_resource", HALF, AnswerFailed),
    ("tool_calls", HALF, AnswerUnusable),
    ("MALFORMED_FUNCTION_CALL", HALF, AnswerUnusable),
    ("pause_turn", HALF, AnswerUnusable),
    ("stop", "", AnswerEmpty),
    ("stop", None, AnswerEmpty),
    ("stop", " \n", AnswerEmpty),
    ("stop", [], AnswerEmpty),
    ("stop", [{"type": "thinking", "thinking": "Hm."}], AnswerEmpty),
    (None, "", AnswerEmpty),
]


def _streamed(content: Any, finish: Any) -> str:
    chunks = [
        {"choices": [{"delta": {"content": content}}]},
        {"choices": [{"delta": {}, "finish_reason": finish}], "usage": USED},
    ]
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join((*events, "data: [DONE]\n\n"))


@pytest.mark.parametrize(("finish", "content", "failure"), NOT_WHOLE, ids=str)
def test_an_answer_that_is_not_whole_has_a_name_and_is_never_kept(
    deployed: Deployment, refusing: Any, finish: Any, content: Any, failure: type[Exception]
) -> None:
    choice = {"message": {"role": "assistant", "content": content}, "finish_reason": finish}
    asking = deployed.asking(refusing(200, json.dumps({"choices": [choice], "usage": USED})))
    for asked in (1, 2):
        answered = answer(asking, question(), use_cache=True)
        named = answered.failure()
        assert type(named) is failure
        assert not answered.cached
        assert refusing.asked == asked
    assert named is not None
    assert (named.cost_usd, named.cost_estimated) == (answered.cost_usd, False)
    assert deployed.booked() == 2 * answered.cost_usd > 0


@pytest.mark.parametrize(("finish", "content", "failure"), NOT_WHOLE, ids=str)
def test_a_stream_that_is_not_whole_has_the_same_name_and_is_never_kept(
    deployed: Deployment, refusing: Any, finish: Any, content: Any, failure: type[Exception]
) -> None:
    asking = deployed.asking(refusing(200, _streamed(content, finish)))
    for asked in (1, 2):
        last = listen(asking, question())[-1]
        assert isinstance(last, Answered)
        assert type(last.failure()) is failure
        assert refusing.asked == asked


@pytest.mark.parametrize(
    "used",
    [
        {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
        {"prompt_tokens": 0, "completion_tokens": 7, "total_tokens": 7},
        {"prompt_tokens": 12, "completion_tokens": 0, "total_tokens": 12},
        {"prompt_tokens": None, "completion_tokens": None},
        None,
    ],
    ids=str,
)
def test_what_a_report_leaves_out_is_counted_and_marked_as_estimated(
    deployed: Deployment, refusing: Any, used: Any
) -> None:
    choice = {"message": {"content": "All of it."}, "finish_reason": "stop"}
    asking = deployed.asking(refusing(200, json.dumps({"choices": [choice], "usage": used})))
    answered = answer(asking, question())
    assert answered.failure() is None
    assert answered.cost_estimated
    assert answered.tokens.input >= 11
    assert answered.tokens.output >= 4
    assert deployed.booked() == answered.cost_usd > 0


def test_an_answer_that_reports_no_tokens_at_all_is_not_kept(
    deployed: Deployment, refusing: Any
) -> None:
    choice = {"message": {"content": "All of it."}, "finish_reason": "stop"}
    used = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    asking = deployed.asking(refusing(200, json.dumps({"choices": [choice], "usage": used})))
    for asked in (1, 2):
        assert not answer(asking, question()).cached
        assert refusing.asked == asked
