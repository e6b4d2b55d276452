"""The queue's worker on moto, with fake voters: messages become verdicts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from quorum.batch.pauses import FAULT_TRIES, TRIES
from quorum.batch.queue import CRASHED, CRASHES, ItemQueue
from quorum.core.errors import StoreUnavailable
from quorum.core.identifiers import verdict_id_of
from quorum.core.models import Decision
from quorum.ledger import ledger
from quorum.ledger.budget import Thresholds
from quorum.vote.panel import Panel

from functions.batch import app as batch
from tests.clock import Clock
from tests.functions.conftest import Faults
from tests.world import BATCH, PRICE, TENANT, Death, Gateway, World, decided, packaged, stored

Deliver = Callable[..., list[str]]


@pytest.fixture
def sqs(aws: Any) -> Any:
    return boto3.client("sqs")


@pytest.fixture
def urls(sqs: Any) -> dict[str, str]:
    """The queues by name."""
    return {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("items", "dead")}


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def world(aws: Any, gateway: Gateway) -> World:
    return World(aws, gateway)


@pytest.fixture
def deliver(
    sqs: Any,
    urls: dict[str, str],
    world: World,
    context: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Deliver:
    """Send messages and hand them to the worker; returns the bodies of those that stay."""
    queue = world.queue(sqs, urls["items"], urls["dead"])
    world.app.item_queue = queue
    monkeypatch.setattr(batch, "app", lambda: world.app)

    def send(*bodies: Any, deliveries: int | None = None, origin: str | None = None) -> list[str]:
        for body in bodies:
            text = body if isinstance(body, str) else json.dumps(body)
            sqs.send_message(QueueUrl=urls["items"], MessageBody=text)
        received = sqs.receive_message(
            QueueUrl=urls["items"],
            MaxNumberOfMessages=10,
            MessageSystemAttributeNames=["All"],
            WaitTimeSeconds=2,
        )
        attributes = {"origin": {"stringValue": origin, "dataType": "String"}} if origin else {}
        records = [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": {
                    "ApproximateReceiveCount": str(
                        deliveries or message["Attributes"]["ApproximateReceiveCount"]
                    ),
                    "SentTimestamp": "1700000000000",
                    "SenderId": "123456789012",
                    "ApproximateFirstReceiveTimestamp": "1700000000000",
                },
                "messageAttributes": attributes,
                "md5OfBody": message["MD5OfBody"],
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:123456789012:items",
                "awsRegion": "us-east-1",
            }
            for message in received["Messages"]
        ]
        answer = batch.handler({"Records": records}, context)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                sqs.delete_message(QueueUrl=urls["items"], ReceiptHandle=record["receiptHandle"])
        return [record["body"] for record in records if record["messageId"] in failed]

    return send


@pytest.fixture
def letters(sqs: Any, urls: dict[str, str]) -> Callable[[], dict[str, str]]:
    """Body → reason of the dead letters."""

    def read() -> dict[str, str]:
        found = sqs.receive_message(
            QueueUrl=urls["dead"],
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        return {
            letter["Body"]: letter["MessageAttributes"]["reason"]["StringValue"]
            for letter in found.get("Messages", [])
        }

    return read


def item(text: str, index: int | None = None, **fields: Any) -> dict[str, Any]:
    position = {} if index is None else {"position": {"batch": BATCH, "index": index}}
    return {"tenant": TENANT, "content": text, "language": "en"} | position | fields


def test_every_message_becomes_a_stored_verdict(deliver: Deliver, aws: Any) -> None:
    assert deliver(item("one"), item("two")) == []
    assert len(stored(aws)) == 2


def test_a_message_whose_text_was_cut_inside_an_emoji_is_judged(
    deliver: Deliver, gateway: Gateway
) -> None:
    body = json.dumps(item("so nice \ud83d"))
    assert "\\ud83d" in body
    assert deliver(body) == []
    assert {text for _, text in gateway.calls} == {"so nice \ufffd"}


def test_a_message_delivered_again_is_neither_judged_nor_counted_again(
    deliver: Deliver, aws: Any, gateway: Gateway
) -> None:
    deliver(item("one"), origin="message-1")
    before = stored(aws)
    assert verdict_id_of(TENANT, "message-1") in next(iter(before))
    deliver(item("one"), origin="message-1")
    assert stored(aws) == before
    assert decided(aws)["safe"] == 1
    assert set(gateway.calls.values()) == {1}


@pytest.mark.parametrize(
    ("poison", "reason"),
    [
        ("not json", "not JSON"),
        ("[]", "must be a JSON object"),
        ({"tenant": "acme"}, "content: is missing"),
        ({"content": "x"}, "tenant: is missing"),
        (item("x", colour="red"), "colour: there is no such field"),
        (item("x" * 32_769), "content: "),
        (item(""), "content: "),
        (item("x", panel="nobody"), "name: no packaged panel"),
        (item("x", 7), "there is no such batch"),
        ("[" * 60_000, "not JSON"),
        ('{"position": ' * 60_000, "not JSON"),
        ('{"tenant": "acme", "content": "x", "metadata": {"n": %s}}' % ("9" * 100_000), ""),
        ('{"tenant": "acme", "position": {"batch": "b", "index": %s}}' % ("9" * 100_000), ""),
        (item("x", position={"batch": "\ud800", "index": 0}), "position.batch: "),
        (item("x", position={"batch": "b" * 100_000, "index": 0}), "position.batch: "),
        (item("x", position={"batch": BATCH, "index": 10**9}), "position.index: "),
        (item("x", position=[[[]]]), "position: must be a JSON object"),
        ({"tenant": "a" * 100_000, "position": {"batch": BATCH, "index": 0}}, "content: "),
        ({"tenant": ["acme"], "content": 7, "position": {"batch": BATCH, "index": 0}}, "content: "),
        (item("x", **{"\x00\uffff": 1}), "\ufffd\ufffd: there is no such field"),
        ('{"tenant": "acme", "content": "x", "content": "y"}', "content: stands twice"),
    ],
)
def test_poison_goes_to_the_dead_letters_at_once_with_its_reason_and_sinks_no_other(
    deliver: Deliver, letters: Callable[[], dict[str, str]], aws: Any, poison: Any, reason: str
) -> None:
    good = [item(f"good {number}") for number in range(9)]
    assert deliver(*good[:4], poison, *good[4:]) == []
    ((body, why),) = letters().items()
    assert body == (poison if isinstance(poison, str) else json.dumps(poison))
    assert why.startswith(reason)
    assert len(stored(aws)) == 9


def test_an_item_at_which_judging_breaks_stays_alone_and_its_neighbours_are_judged(
    deliver: Deliver, aws: Any, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def panel_of(tenant: str, name: str) -> Panel:
        if name == "breaks":
            raise LookupError(name)
        return packaged(tenant, name)

    monkeypatch.setattr(batch.app(), "judging", World(aws, gateway, panel_of=panel_of).judging)
    good = [item(f"good {number}") for number in range(3)]
    (stays,) = deliver(*good, item("bad", panel="breaks"))
    assert json.loads(stays)["content"] == "bad"
    assert len(stored(aws)) == 3


def test_a_message_that_cannot_be_dead_lettered_stays_alone(
    deliver: Deliver, aws: Any, world: World, sqs: Any, urls: dict[str, str]
) -> None:
    class Deaf:
        def __getattr__(self, name: str) -> Any:
            return getattr(sqs, name)

        def send_message(self, **_given: Any) -> None:
            raise ClientError({"Error": {"Code": "InternalFailure"}}, "SendMessage")

    world.app.item_queue = world.queue(Deaf(), urls["items"], urls["dead"])
    assert deliver("not json", item("good")) == ["not json"]
    assert len(stored(aws)) == 1


def test_no_redrive_stumbles_over_another_tenants_dead_letter(
    deliver: Deliver, world: World, sqs: Any, urls: dict[str, str]
) -> None:
    world.new_batch(1)
    deliver("[" * 60_000, '{"tenant": "other", "position": ' + "[" * 60_000, "\\ud800")
    queue = world.queue(sqs, urls["items"], urls["dead"])
    assert queue.redrive(TENANT, BATCH, seconds=5) == (0, True)


def test_poison_of_a_batch_is_counted_there_with_its_reason(deliver: Deliver, world: World) -> None:
    world.new_batch(1)
    deliver(item("x", 0, id="not an id"))
    deliver(item("x", 0, id="not an id"))
    assert world.view().dead == 1
    (shown,) = world.batches.results(TENANT, BATCH, start=0, limit=9, gaps=False)["items"]
    assert shown["dead"]["reason"].startswith("id: ")


def test_an_item_with_a_field_of_newer_code_waits_for_that_and_others_are_told_at_once(
    deliver: Deliver, letters: Callable[[], dict[str, str]], world: World
) -> None:
    world.new_batch(1)
    newer = json.dumps(item("x", 0, of_newer_code=1))
    assert deliver(newer, item("one")) == [newer]
    assert world.view().dead == 0
    assert letters() == {}
    assert deliver(newer, deliveries=3) == []  # the last one
    # Somebody's own message has no newer code behind it.
    own = json.dumps(item("x", colour="red"))
    assert deliver(own) == []
    assert {body: reason.partition(":")[0] for body, reason in letters().items()} == {
        newer: "of_newer_code",
        own: "colour",
    }


def test_a_throttled_item_stays_and_says_why_until_its_last_delivery_then_it_is_dead(
    deliver: Deliver,
    letters: Callable[[], dict[str, str]],
    world: World,
    gateway: Gateway,
    sqs: Any,
    urls: dict[str, str],
) -> None:
    world.new_batch(1)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    assert len(deliver(item("one", 0))) == 1
    view = world.view()
    assert view.last_problem == "no quorum: gemini-2.5-flash throttled, deepseek-v3.2 throttled"
    assert (view.state, view.pending) == ("running", 1)
    counts = sqs.get_queue_attributes(QueueUrl=urls["items"], AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "1"  # until it may be asked again
    assert deliver(item("one", 0), deliveries=3) == []
    view = world.view()
    assert (view.state, view.dead, view.pending) == ("incomplete", 1, 0)
    (reason,) = letters().values()
    assert "throttled" in reason


@pytest.fixture
def many_tries(deliver: Deliver, world: World, sqs: Any, urls: dict[str, str]) -> None:
    """The worker tries a message as often as the template says."""
    world.app.item_queue = world.queue(sqs, urls["items"], urls["dead"], max_receives=TRIES)


@pytest.fixture
def many_tries_at_once(
    many_tries: None, sqs: Any, urls: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above, and a message comes again without a pause."""
    sqs.set_queue_attributes(QueueUrl=urls["items"], Attributes={"VisibilityTimeout": "0"})
    monkeypatch.setattr(ItemQueue, "_hide", lambda *_: None)


@pytest.mark.parametrize(
    ("deliveries", "seconds"), [(1, 7), (2, 60), (3, 120), (5, 480), (6, 900), (12, 900)]
)
def test_an_outage_is_waited_out_with_growing_pauses_and_jitter(
    deliver: Deliver,
    many_tries: None,
    gateway: Gateway,
    faults: Faults,
    deliveries: int,
    seconds: int,
) -> None:
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    pauses = set()
    for number in range(6):
        assert len(deliver(item(f"text {number}"), deliveries=deliveries)) == 1
        pauses.add(faults.requests["ChangeMessageVisibility"][-1]["VisibilityTimeout"])
    assert len(pauses) > 1 or seconds < 60  # six that are the same are no chance then
    assert seconds <= min(pauses) <= max(pauses) <= seconds * 1.25 + 2


def test_after_two_hours_of_an_outage_an_item_is_dead_with_its_reason(
    deliver: Deliver, many_tries: None, letters: Callable[[], dict[str, str]], gateway: Gateway
) -> None:
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    assert deliver(item("one"), deliveries=TRIES) == []
    assert "throttled" in next(iter(letters().values()))


def test_a_store_that_is_down_is_waited_for_and_a_fault_of_our_own_not_as_long(
    deliver: Deliver,
    many_tries: None,
    letters: Callable[[], dict[str, str]],
    world: World,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures = iter([StoreUnavailable("down"), LookupError("a fault"), LookupError("a fault")])

    def moderate_all(items: Any, *, seconds: float) -> Any:
        raise next(failures)

    monkeypatch.setattr(world.app.judging, "moderate_all", moderate_all)
    assert len(deliver(item("one"), deliveries=TRIES - 1)) == 1
    assert len(deliver(item("two"), deliveries=FAULT_TRIES - 1)) == 1
    assert letters() == {}
    assert deliver(item("three"), deliveries=FAULT_TRIES) == []
    assert list(letters().values()) == ["LookupError"]


def test_a_message_that_outlives_its_workers_is_buried_with_that_reason_and_counted(
    deliver: Deliver,
    letters: Callable[[], dict[str, str]],
    world: World,
    gateway: Gateway,
    sqs: Any,
    urls: dict[str, str],
) -> None:
    world.new_batch(1)
    sqs.set_queue_attributes(QueueUrl=urls["items"], Attributes={"VisibilityTimeout": "0"})
    gateway.deadly = {"one"}
    with pytest.raises(Death):
        deliver(item("one", 0))
    for _ in range(2):
        with pytest.raises(Death):
            deliver()
    assert deliver() == []  # and nobody died: it was not tried again
    assert list(letters().values()) == ["its worker crashed each time"]
    view = world.view()
    assert (view.state, view.dead, view.pending) == ("incomplete", 1, 0)
    gateway.deadly = set()
    queue = world.queue(sqs, urls["items"], urls["dead"])
    assert queue.redrive(TENANT, BATCH, seconds=5) == (1, True)
    deliver()
    assert world.view().settled == 1


def test_what_crashes_its_worker_is_given_up_after_a_few_tries_and_its_neighbours_are_judged(
    deliver: Deliver,
    letters: Callable[[], dict[str, str]],
    many_tries_at_once: None,
    world: World,
    gateway: Gateway,
) -> None:
    world.new_batch(4)
    gateway.deadly = {"two"}
    sent = [item(text, index) for index, text in enumerate(("one", "two", "three", "four"))]
    deaths = 0
    while world.view().pending:
        try:
            deliver(*sent)
        except Death:
            deaths += 1
        sent = []
    assert deaths == CRASHES + 1
    assert list(letters().values()) == [CRASHED]
    view = world.view()
    assert (view.settled, view.dead, view.pending) == (3, 1, 0)


def test_a_message_that_was_postponed_many_times_has_crashed_nothing(
    deliver: Deliver,
    letters: Callable[[], dict[str, str]],
    many_tries_at_once: None,
    world: World,
    gateway: Gateway,
) -> None:
    world.new_batch(2)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    deliver(item("one", 0), item("two", 1))
    for delivery in range(2, TRIES):
        assert len(deliver(deliveries=delivery)) == 2
    assert letters() == {}


def test_a_message_that_outlives_its_workers_is_done_if_one_of_them_had_settled_its_item(
    deliver: Deliver, letters: Callable[[], dict[str, str]], world: World
) -> None:
    world.new_batch(2)
    deliver(item("one", 0))
    assert deliver(item("one", 0), item("two", 1), deliveries=4) == []
    assert [json.loads(body)["content"] for body in letters()] == ["two"]
    view = world.view()
    assert (view.settled, view.dead) == (1, 1)


def test_dead_letters_of_a_batch_are_sent_round_again_and_others_stay(
    deliver: Deliver,
    letters: Callable[[], dict[str, str]],
    world: World,
    gateway: Gateway,
    sqs: Any,
    urls: dict[str, str],
) -> None:
    world.new_batch(1)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    deliver(item("one \ud83d", 0), deliveries=3)
    deliver("not json")
    gateway.down = set()
    queue = world.queue(sqs, urls["items"], urls["dead"])
    assert queue.redrive(TENANT, BATCH, seconds=5) == (1, True)
    assert world.view().dead == 0
    assert list(letters()) == ["not json"]
    assert queue.redrive(TENANT, BATCH, seconds=5) == (0, True)
    assert queue.redrive("other", BATCH, seconds=5) == (0, True)
    deliver()
    view = world.view()
    assert (view.state, view.settled, view.dead) == ("complete", 1, 0)


def test_a_dead_item_that_is_settled_after_all_is_dead_no_more(
    deliver: Deliver, world: World, gateway: Gateway
) -> None:
    world.new_batch(1)
    gateway.down = {"gemini-2.5-flash", "deepseek-v3.2"}
    deliver(item("one", 0), deliveries=3)
    gateway.down = set()
    deliver(item("one", 0))  # its duplicate came late
    view = world.view()
    assert (view.state, view.settled, view.dead) == ("complete", 1, 0)


def test_a_message_that_cannot_be_stored_stays(deliver: Deliver, aws: Any) -> None:
    deliver(item("opens the books"))
    aws.Table("UsageTable").delete()
    assert len(deliver(item("one"), item("two"))) == 2


def test_a_spent_budget_pauses_a_batch_and_waiting_costs_no_deliveries(
    aws: Any,
    sqs: Any,
    urls: dict[str, str],
    gateway: Gateway,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    poor = World(aws, gateway, thresholds=Thresholds(budget_tenant_usd=PRICE))
    monkeypatch.setattr(batch.app(), "judging", poor.judging)
    poor.new_batch(2)
    assert deliver(item("one", 0)) == []
    assert deliver(item("two", 1), deliveries=3) == []  # the last delivery, and yet not dead
    view = poor.view()
    assert (view.state, view.settled, view.pending, view.dead) == ("paused", 1, 1, 0)
    assert view.paused_until is not None
    counts = sqs.get_queue_attributes(QueueUrl=urls["items"], AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesDelayed"] == "1"


def test_what_waits_for_a_budget_is_judged_when_it_is_whole_again(
    aws: Any,
    sqs: Any,
    urls: dict[str, str],
    gateway: Gateway,
    deliver: Deliver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reset = datetime.combine(ledger.today() + timedelta(1), datetime.min.time(), UTC).timestamp()
    now = [reset - 1]
    budget = Thresholds(budget_tenant_usd=PRICE)
    poor = World(aws, gateway, thresholds=budget, clock=lambda: now[0])
    queue = poor.queue(sqs, urls["items"], urls["dead"])
    monkeypatch.setattr(batch.app(), "judging", poor.judging)
    monkeypatch.setattr(batch.app(), "item_queue", queue)
    poor.new_batch(2)
    assert deliver(item("one", 0)) == []
    assert deliver(item("two", 1)) == []
    view = poor.view()
    assert (view.state, view.settled, view.pending) == ("paused", 1, 1)
    now[0] = reset + 1
    assert deliver() == []
    view = poor.view()
    assert (view.state, view.settled, view.dead) == ("complete", 2, 0)


def test_unsafe_is_counted_as_unsafe(deliver: Deliver, world: World, gateway: Gateway) -> None:
    world.new_batch(1)
    gateway.says["one"] = Decision.UNSAFE
    deliver(item("one", 0))
    assert world.view().decisions["unsafe"] == 1


TENANTS = ("acme", "globex", "initech", "umbrella")


def test_messages_of_several_tenants_are_judged_at_the_same_time(
    deliver: Deliver, aws: Any, gateway: Gateway, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = World(aws, gateway, at_once=len(TENANTS))
    workflow = several.judging._workflow  # noqa: SLF001 - what takes the time
    all_at_once, judge = Barrier(len(TENANTS), timeout=20), workflow.run

    def together(evaluation: Any) -> Any:
        all_at_once.wait()
        return judge(evaluation)

    monkeypatch.setattr(workflow, "run", together)
    monkeypatch.setattr(world.app, "judging", several.judging)
    assert deliver(*(item("one", tenant=tenant) for tenant in TENANTS)) == []
    assert len(stored(aws)) == len(TENANTS)


def test_a_worker_begins_no_message_that_it_could_not_end_and_the_next_one_judges_it(  # noqa: PLR0917 - fixtures
    deliver: Deliver,
    world: World,
    aws: Any,
    context: Any,
    gateway: Gateway,
    sqs: Any,
    urls: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    began = clock.now
    judging = world.judging
    judge = judging._workflow.run  # noqa: SLF001 - what takes the time

    def slow(evaluation: Any) -> Any:
        clock.now += 20
        return judge(evaluation)

    monkeypatch.setattr(judging, "_clock", clock)
    monkeypatch.setattr(judging._workflow, "run", slow)  # noqa: SLF001 - as above
    stays = deliver(*(item(f"from {tenant}", tenant=tenant) for tenant in TENANTS))
    assert len(stays) == 2
    assert clock.now - began < context.get_remaining_time_in_millis() / 1000
    assert len(stored(aws)) == 2
    sqs.purge_queue(QueueUrl=urls["items"])  # they would come again in some seconds
    assert deliver(*stays) == []
    assert len(stored(aws)) == len(TENANTS)
    assert set(gateway.calls.values()) == {1}, "a vote was bought twice"
