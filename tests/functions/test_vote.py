"""A gateway voter: tables on moto, the gateway a real server on this machine."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import boto3
import pytest
from quorum.aws import loop
from quorum.core import registry
from quorum.core.models import Author, Content, Context
from quorum.ledger import ledger, listing
from quorum.vote.cache import VoteCache
from quorum.vote.evaluation import Evaluation
from quorum.vote.policy import DEFAULT

from fakes.gateway import Fault, RecordedVotes, Scenario, StandIn, running
from functions.vote import app as vote
from tests import make, template
from tests.functions.test_panels import metric
from tests.transactions import transactions

Ask = Callable[..., dict[str, Any]]
TEXT = "what the stand-in has an opinion of"


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    recorded = RecordedVotes({TEXT: {"gpt-4.1": "unsafe"}})
    with running(Scenario(), recorded=recorded) as one:
        yield one


@pytest.fixture
def ask(
    aws: Any,
    within: Callable[[str], None],
    context: Any,
    stand_in: StandIn,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Ask]:
    within("Gpt41Function")
    monkeypatch.setenv("GATEWAY_BASE_URL", stand_in.base_url)
    boto3.client("secretsmanager").create_secret(Name="quorum/gateway", SecretString="sk-key")
    vote.app.cache_clear()
    yield lambda evaluation: vote.handler(
        {"evaluation": evaluation.model_dump(mode="json")}, context
    )
    loop.run(vote.app().gateway.close())
    vote.app.cache_clear()


def living(**changes: Any) -> Evaluation:
    """An evaluation whose deadline is in the future of the real clock."""
    return make.evaluation(TEXT, deadline=4_102_444_800.0, **changes)


def usage(aws: Any) -> dict[str, Any]:
    key = ledger.usage_key(ledger.today(), "gpt-4.1", "acme")
    return listing.counter(aws.meta.client, "UsageTable", key)


def intents(aws: Any) -> list[str]:
    items = aws.Table("UsageTable").scan()["Items"]
    return [item["key"] for item in items if item["key"].startswith("intent#")]


def test_a_vote_is_cast_and_booked_to_the_last_digit(ask: Ask, aws: Any, stand_in: StandIn) -> None:
    answer = ask(living())
    assert answer["decision"] == "unsafe"
    assert answer["served_by"] == stand_in.base_url
    assert Decimal(answer["cost_usd"]) == stand_in.count.cost_usd == usage(aws)["cost_usd"] > 0
    assert usage(aws)["calls"] == 1
    assert usage(aws)["input_tokens"] == answer["tokens"]["input"]
    assert intents(aws) == []


def test_a_vote_asked_for_again_is_neither_sent_nor_booked_again(
    ask: Ask, aws: Any, stand_in: StandIn
) -> None:
    first = ask(living())
    assert ask(living()) == first  # the same verdict, judged again after a crash
    again = ask(living(verdict_id="verdict-2"))
    assert again["cached"] is True
    assert again["decision"] == first["decision"]
    assert again["cost_usd"] == "0"
    assert again["saved_usd"] == first["cost_usd"]
    assert stand_in.count.requests == 1
    assert usage(aws)["calls"] == 1


def test_votes_of_one_environment_need_two_transactions_each_and_none_fails(
    ask: Ask, aws: Any, stand_in: StandIn
) -> None:
    with transactions(vote.app().dynamodb.meta.client) as made:
        for number in range(3):
            ask(living(verdict_id=f"verdict-{number}", content=Content(text=f"text {number}")))
    assert stand_in.count.requests == 3
    # The reservation, and the booking. A warm environment knows what its bookings have changed.
    assert made == [200] * 6


def test_the_alarm_on_spending_watches_the_metric_that_a_paid_call_writes(
    ask: Ask, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(living())
    ask(living())  # from the cache, for nothing
    (line,) = metric(capsys.readouterr().out, "SpentUsd")
    assert line["SpentUsd"] == [float(answer["cost_usd"])]
    alarm = template.resources("AWS::CloudWatch::Alarm")["SpendingAlarm"]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == template.physical(alarm["Namespace"])
    watched = {one["Name"]: one["Value"] for one in alarm["Dimensions"]}
    assert {name: line[name] for name in directive["Dimensions"][0]} == watched


def test_a_vote_is_not_shared_with_another_tenant(ask: Ask, stand_in: StandIn) -> None:
    ask(living())
    assert ask(living(tenant="other"))["cached"] is False
    assert stand_in.count.requests == 2


@pytest.mark.parametrize(
    ("fault", "reason", "paid"),
    [
        (Fault.MALFORMED, "reply_unreadable", True),
        (Fault.FILTERED, "refused", True),
        (Fault.SERVER_ERROR, "unavailable", False),
    ],
)
def test_a_vote_that_cannot_be_had_is_an_abstention_and_what_it_cost_is_booked(
    ask: Ask, aws: Any, stand_in: StandIn, fault: Fault, reason: str, *, paid: bool
) -> None:
    stand_in.scenario = stand_in.scenario.model_copy(update={"rates": {fault: 1.0}})
    answer = ask(living())
    assert (answer["kind"], answer["reason"]) == ("abstention", reason)
    assert (Decimal(answer["cost_usd"]) > 0) is paid
    assert usage(aws).get("cost_usd", Decimal(0)) == stand_in.count.cost_usd
    assert intents(aws) == []
    assert aws.Table("VotesTable").scan()["Count"] == 0


def test_a_case_whose_time_is_over_is_not_sent(ask: Ask, stand_in: StandIn) -> None:
    answer = ask(make.evaluation(TEXT))
    assert (answer["kind"], answer["reason"]) == ("abstention", "timed_out")
    assert stand_in.count.requests == 0


def test_the_content_is_in_no_log(ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
    ask(living())
    written = capsys.readouterr().out
    assert '"voter":"gpt-4.1"' in written
    assert "opinion" not in written


def test_a_context_reaches_the_model_beside_the_text_and_no_log(
    ask: Ask, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    context = Context(parent="the dog lives at 12 Elm Road", author=Author(earlier_strikes=2))
    within = Content(text=TEXT, context=context)
    plain, seen = ask(living()), ask(living(content=within))
    assert (plain["cached"], seen["cached"]) == (False, False)
    assert (plain.get("context_seen"), seen["context_seen"]) == (None, True)
    told = [body["messages"][1]["content"] for body in stand_in.bodies]
    assert ["Elm Road" in user for user in told] == [False, True]
    assert '"author": {"earlier_strikes": 2}' in told[1]
    grown = seen["tokens"]["input"] - plain["tokens"]["input"]
    assert grown > 0
    price = registry.model("gpt-4.1").price
    output = seen["tokens"]["output"] - plain["tokens"]["output"]
    dearer = Decimal(seen["cost_usd"]) - Decimal(plain["cost_usd"])
    assert dearer == (grown * price.input + output * price.output) / Decimal(1_000_000)
    again = ask(living(content=within, verdict_id="verdict-2"))
    assert (again["cached"], again["context_seen"]) == (True, True)
    assert "Elm Road" not in capsys.readouterr().out


def test_the_key_goes_to_the_gateway_and_nowhere_else(
    ask: Ask, stand_in: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = ask(living())
    assert ("gpt-4.1", "sk-key") in stand_in.count.billed
    assert "sk-key" not in capsys.readouterr().out + str(answer)


def test_every_gateway_voter_has_a_price() -> None:
    for model in registry.voters():
        assert (model.price.input > 0) is (model.kind == "gateway")


def test_a_models_rate_limit_is_the_deployments_to_set(
    ask: Ask, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RATE_LIMITS", '{"gpt-4.1": {"requests_per_minute": 1}}')
    monkeypatch.setenv("SHARE_VOTES", "false")
    first, second = ask(living()), ask(living(tenant="other"))
    assert first["kind"] == "vote"
    assert (second["kind"], second["reason"]) == ("abstention", "throttled")
    assert second["retry_after_seconds"] > 10
    assert stand_in.count.requests == 1


def test_verdicts_that_bought_the_same_vote_at_once_each_find_what_they_paid(aws: Any) -> None:
    cache = VoteCache(aws, "VotesTable", shared=False, days=1)
    content = Content(text="the same")
    key = cache.key("acme", "gpt-4.1", content, DEFAULT)
    for verdict, cost in (("verdict-1", "0.0002"), ("verdict-2", "0.0003")):
        vote = make.cast("gpt-4.1", "safe", cost_usd=Decimal(cost))
        aws.meta.client.transact_write_items(TransactItems=[cache.put(key, vote, verdict)])

    def cost_for(verdict: str | None) -> Decimal:
        (found,) = cache.find("acme", ["gpt-4.1"], content, DEFAULT, verdict)
        return found.cost_usd

    assert cost_for("verdict-1") == Decimal("0.0002")
    assert cost_for("verdict-2") == Decimal("0.0003")
    assert cost_for("verdict-3") == cost_for(None) == 0
