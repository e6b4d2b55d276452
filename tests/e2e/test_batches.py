"""Batches through the deployed template: by HTTP, from the queue and from S3."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from quorum.aws.keys import Caller
from quorum.core.identifiers import item_id_of
from quorum.core.position import BatchPosition
from quorum.ledger import ledger, listing
from quorum.ledger.costs import INTENT_SECONDS, Costs
from quorum.ledger.shards import counter_of

from fakes.gateway import Fault, StandIn
from local.state import TENANT, Stack
from tests.e2e.conftest import Api, Recorded, Recovery, says

RUN = uuid4().hex[:8]
"""A stack that is kept between runs has the votes on an earlier run's texts."""
PATIENCE_SECONDS = 240
SETTLED = ("complete", "incomplete")


@contextmanager
def visibility(stack: Stack, seconds: int) -> Iterator[None]:
    """So that messages of a worker that died come back in seconds and not in minutes."""
    sqs, url = stack.client("sqs"), stack.outputs["QueueUrl"]
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(seconds)})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before["Attributes"])


def wait(api: Api, batch: str, done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    view: dict[str, Any]
    patience = time.monotonic() + PATIENCE_SECONDS
    while not done(view := api.get(f"batches/{batch}").json()):
        assert time.monotonic() < patience, view
        time.sleep(0.5)
    return view


def post(api: Api, items: list[Any], **options: Any) -> dict[str, Any]:
    answer = api.post("batches", {"items": items} | options)
    assert answer.status_code == 202, answer.text
    taken: dict[str, Any] = answer.json()
    return taken


def results(api: Api, batch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    start: int | None = 0
    while start is not None:
        answer = api.get(f"batches/{batch}/results?start={start}&limit=200")
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["items"] or page["next"] != start, "a gap in what is complete"
        found += page["items"]
        start = page["next"]
    return found


def dead_letters(stack: Stack, wanted: int) -> dict[str, str]:
    """Body → reason of what is among the dead letters; leaves them there."""
    sqs, url = stack.client("sqs"), stack.outputs["DeadLettersUrl"]
    found: dict[str, str] = {}
    patience = time.monotonic() + 60
    while len(found) < wanted and time.monotonic() < patience:
        received = sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            VisibilityTimeout=5,
            MessageAttributeNames=["All"],
        )
        for letter in received.get("Messages", []):
            found[letter["Body"]] = letter["MessageAttributes"]["reason"]["StringValue"]
    return found


def booked(stack: Stack) -> Decimal:
    return sum((Decimal(item.get("cost_usd", 0)) for item in usage(stack)), Decimal(0))


def paid_by(stack: Stack, tenant: str) -> Decimal:
    mine = (item for item in usage(stack) if tenant in counter_of(item["key"]).split("#"))
    return sum((Decimal(item.get("cost_usd", 0)) for item in mine), Decimal(0))


def usage(stack: Stack) -> list[dict[str, Any]]:
    client = stack.resource().meta.client
    return list(listing.entries_of_day(client, stack.outputs["UsageTable"], ledger.today()))


def kill(stack: Stack, function: str) -> bool:
    """Kill one process of a Lambda of this stack; whether one was there."""
    name = stack.resources[function]
    for process in Path("/proc").iterdir():
        try:
            parent = int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
            named = f"AWS_LAMBDA_FUNCTION_NAME={name}".encode()
            if parent == stack.pid and named in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
                return True
        except (OSError, ValueError, IndexError):
            continue
    return False


POISON: dict[str, str] = {
    "this is not JSON": "not JSON",
    json.dumps({"tenant": TENANT, "content": "x" * 32_769}): "content: ",
    json.dumps({"tenant": TENANT, "content": ""}): "content: ",
    json.dumps({"tenant": TENANT, "content": "x", "colour": "red"}): "colour: ",
    json.dumps({"content": "whose is this?"}): "tenant: ",
}


def test_200_items_delivered_twice_with_workers_killed_are_each_settled_once(
    api: Api, stack: Stack, stand_in: StandIn, recorded: Recorded, recovery: Recovery
) -> None:
    paid_before, billed_before = booked(stack), stand_in.count.cost_usd
    texts = [says(recorded, f"{RUN}: item {number % 120}") for number in range(190)]
    bad: list[Any] = [
        {"content": ""},
        {"content": "x", "colour": "red"},
        {"content": "y" * 32_769},
        7,
        {},
    ]
    given: list[Any] = [
        *bad,
        *({"content": text, "id": f"post-{n}"} for n, text in enumerate(texts)),
        *bad,
    ]
    with visibility(stack, 25):
        taken = post(api, given)
        batch = taken["id"]
        assert [one["index"] for one in taken["rejected"]] == [*range(5), *range(195, 200)]
        sqs, url = stack.client("sqs"), stack.outputs["QueueUrl"]
        again = [
            {"tenant": TENANT, "position": {"batch": batch, "index": index}} | given[index]
            for index in range(5, 195)
        ]
        bodies = [*map(json.dumps, again), *POISON, *POISON]
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(n), "MessageBody": body}
                for n, body in enumerate(bodies[start : start + 10])
            ]
            sqs.send_message_batch(QueueUrl=url, Entries=entries)
        wait(api, batch, lambda view: view["settled"] >= 30)
        assert kill(stack, "BatchFunction")
        assert kill(stack, "Gemini25FlashFunction")
        wait(api, batch, lambda view: view["settled"] >= 80)
        assert kill(stack, "BatchFunction")
        with recovery():
            view = wait(api, batch, lambda view: view["state"] in SETTLED)

    assert (view["state"], view["items"], view["settled"]) == ("complete", 200, 190)
    assert (view["rejected"], view["dead"], view["pending"]) == (10, 0, 0)
    found = results(api, batch)
    assert [one["index"] for one in found] == list(range(200))
    judged = [one["verdict"] for one in found if "verdict" in one]
    assert [verdict["id"] for verdict in judged] == [
        item_id_of(TENANT, BatchPosition(batch=batch, index=index)) for index in range(5, 195)
    ]
    assert [verdict["content_id"] for verdict in judged] == [f"post-{n}" for n in range(190)]
    assert all(one["rejected"]["code"] for one in found if "rejected" in one)
    counted = Counter(verdict["decision"] for verdict in judged)
    assert {name: count for name, count in view["decisions"].items() if count} == counted

    reasons = dead_letters(stack, len(POISON))
    for body, reason in POISON.items():
        assert reasons[body].startswith(reason)
    # the books: what was killed may have been billed, nothing else is unaccounted for
    paid = booked(stack) - paid_before
    billed = stand_in.count.cost_usd - billed_before
    client = stack.resource()
    costs = Costs(
        client,
        stack.outputs["UsageTable"],
        krw_per_usd=Decimal(1350),
        krw_as_of=ledger.today(),
        clock=lambda: time.time() + INTENT_SECONDS + 1,
    )
    assert costs.close_intents() == []
    possibly = sum((Decimal(i.get("possibly_paid_usd", 0)) for i in usage(stack)), Decimal(0))
    assert paid <= billed <= paid + possibly
    assert Decimal(view["cost_usd"]) == paid
    assert sum((Decimal(verdict["cost_usd"]) for verdict in judged), Decimal(0)) == paid


def test_items_of_a_gateway_that_is_down_wait_and_are_judged_when_it_is_up_again(
    api: Api, stack: Stack, stand_in: StandIn, recorded: Recorded, recovery: Recovery
) -> None:
    paid_before, billed_before = booked(stack), stand_in.count.cost_usd
    texts = [says(recorded, f"{RUN}: throttled {number}") for number in range(2)]
    good = stand_in.scenario
    stand_in.scenario = good.model_copy(update={"rates": {Fault.THROTTLED: 1.0}})
    batch = post(api, [{"content": text} for text in texts])["id"]
    view = wait(api, batch, lambda view: view["last_problem"] is not None)
    assert "throttled" in view["last_problem"]
    assert (view["state"], view["dead"], view["pending"]) == ("running", 0, 2)
    stand_in.scenario = good
    with recovery():
        view = wait(api, batch, lambda view: view["state"] in SETTLED)
    assert (view["state"], view["settled"], view["dead"]) == ("complete", 2, 0)
    # nothing was killed: the books and the gateway agree to the last digit
    assert booked(stack) - paid_before == stand_in.count.cost_usd - billed_before
    report = Api(stack, stack.operator_key).get("costs?by=tenant").json()  # every tenant's
    assert report["totals"]["open_calls"] == 0
    assert Decimal(report["totals"]["cost_usd"]) == booked(stack)


def test_a_cancelled_batch_begins_nothing_more_and_a_repeated_post_is_the_same_batch(
    api: Api, recorded: Recorded
) -> None:
    items = [{"content": says(recorded, f"{RUN}: cancelled {number}")} for number in range(60)]
    first, again = (
        api.post("batches", {"items": items}, {"Idempotency-Key": RUN}).json() for _ in range(2)
    )
    assert again == first
    batch = first["id"]
    view = api.delete(f"batches/{batch}").json()
    assert view["state"] == "cancelled"
    assert view["settled"] + view["cancelled"] == 60
    assert view["cancelled"] > 0


def visited(stack: Stack, batch: str) -> list[int]:
    """How many pages each map over a batch's pages visited, of those that have ended."""
    machine = stack.client("stepfunctions")
    execution = stack.outputs["BulkMachineArn"].replace(":stateMachine:", ":execution:")
    runs = machine.list_map_runs(executionArn=f"{execution}:{batch}-1")["mapRuns"]
    return [
        machine.describe_map_run(mapRunArn=run["mapRunArn"])["itemCounts"]["total"]
        for run in sorted(runs, key=lambda run: run["startDate"])
        if "stopDate" in run
    ]


def test_800_lines_from_s3_of_which_a_quarter_meets_an_outage_are_judged_in_bulk_in_order(
    stack: Stack, stand_in: StandIn, recorded: Recorded, recovery: Recovery
) -> None:
    tenant = f"bulk-{RUN}"
    api = Api(stack, stack.new_key(Caller(tenant=tenant)))
    known = [says(recorded, f"{RUN}: known {number}") for number in range(3)]
    spent = sum((Decimal(api.judge(text)["cost_usd"]) for text in known), Decimal(0))
    late = says(recorded, f"{RUN}: late")
    texts = [known[number % 3] for number in range(601)] + [late] * 199
    lines = [json.dumps({"content": text, "id": f"line-{n}"}) for n, text in enumerate(texts)]
    lines[7], lines[798] = "not JSON", json.dumps({"content": ""})
    body = "\n".join(lines).encode()
    upload = api.post(f"batches/uploads?bytes={len(body)}", {}).json()
    longer = httpx.put(upload["url"], content=body + b"\n", timeout=30)
    assert longer.status_code == 403  # the size is part of what is signed
    put = httpx.put(upload["url"], content=body, timeout=30)
    assert put.is_success, put.text

    good = stand_in.scenario
    stand_in.scenario = good.model_copy(update={"rates": {Fault.THROTTLED: 1.0}})
    batch = api.post("batches", {"upload": upload["upload"]}).json()["id"]
    view = wait(api, batch, lambda view: view["settled"] == 600 and visited(stack, batch) == [8])
    assert (view["state"], view["settled"], view["pending"]) == ("running", 600, 198)
    assert "throttled" in view["last_problem"]

    stand_in.scenario, throttled = good, len(stand_in.bodies)
    # the map ends a moment after the last item is settled
    with recovery():
        view = wait(
            api, batch, lambda view: view["state"] in SETTLED and len(visited(stack, batch)) == 2
        )
    assert (view["state"], view["items"], view["settled"]) == ("complete", 800, 798)
    assert (view["rejected"], view["dead"]) == (2, 0)
    assert visited(stack, batch) == [8, 2]  # settled pages are not visited again
    # nothing was paid twice: each voter was asked once about the one new content, and it is booked
    asked = [body["model"] for body in stand_in.bodies[throttled:] if late in str(body)]
    assert len(asked) == len(set(asked)) == view["calls"]
    assert paid_by(stack, tenant) == spent + Decimal(view["cost_usd"])

    found = results(api, batch)
    assert [one["index"] for one in found] == list(range(800))
    s3, bucket = stack.client("s3"), stack.outputs["UploadsBucket"]
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=view["results"].split("/", 3)[3])
    indexes = [
        json.loads(line)["index"]
        for entry in listed["Contents"]
        for line in s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].iter_lines()
    ]
    assert indexes == [index for index in range(800) if index not in (7, 798)]


@contextmanager
def no_worker(stack: Stack) -> Iterator[None]:
    """Messages wait on the queue: nobody is handed any."""
    functions = stack.client("lambda")
    (source,) = functions.list_event_source_mappings(FunctionName=stack.resources["BatchFunction"])[
        "EventSourceMappings"
    ]
    functions.update_event_source_mapping(UUID=source["UUID"], Enabled=False)
    try:
        yield
    finally:
        functions.update_event_source_mapping(UUID=source["UUID"], Enabled=True)


@contextmanager
def alerts(stack: Stack) -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is published to the alerts' topic from now on."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    topic = stack.outputs["AlertsTopic"]
    allowed = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": "*",
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    url = sqs.create_queue(QueueName=f"alerts-{RUN}", Attributes={"Policy": policy})["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    subscribed = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue["QueueArn"])

    def published() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while letters := sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"):
            found += [json.loads(json.loads(letter["Body"])["Message"]) for letter in letters]
        return found

    try:
        yield published
    finally:
        sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


def test_a_spent_budget_is_alerted_once_refuses_what_is_new_and_pauses_what_is_queued(
    stack: Stack, stand_in: StandIn, recorded: Recorded
) -> None:
    tenant = f"spender-{RUN}"
    spender = Api(stack, stack.new_key(Caller(tenant=tenant)))
    with alerts(stack) as published:
        with no_worker(stack):
            texts = [says(recorded, f"{RUN}: queued {number}") for number in range(2)]
            batch = post(spender, [{"content": text} for text in texts])["id"]
            good = stand_in.scenario
            stand_in.scenario = good.model_copy(update={"reasoning_tokens": 50_000_000})
            spent = Decimal(spender.judge(says(recorded, f"{RUN}: dear"))["cost_usd"])
            stand_in.scenario = good
            assert spent > 40
            resets_at = f"{ledger.today() + timedelta(1)}T00:00:00+00:00"
            for path, body in (
                ("verdicts", {"content": "one more"}),
                ("batches", {"items": [{"content": "one more"}]}),
            ):
                refused = spender.post(path, body)
                assert refused.status_code == 402
                problem = refused.json()["error"]
                assert (problem["code"], problem["limit"]) == ("budget_spent", resets_at)
                assert resets_at in problem["message"]
        view = wait(spender, batch, lambda view: view["state"] != "running")
        assert (view["state"], view["paused_until"]) == ("paused", resets_at)
        assert (view["pending"], view["settled"], view["dead"]) == (2, 0, 0)
        (alert,) = published()
    assert (alert["alert"], alert["tenant"], alert["limit_usd"]) == ("tenant", tenant, "20")
    assert Decimal(alert["spent_usd"]) == spent
    spender.delete(f"batches/{batch}")  # else its messages come again as long as the stack is kept


@pytest.mark.parametrize("path", ["batches/{id}", "batches/{id}/results"])
def test_another_tenants_batch_is_not_found(api: Api, stack: Stack, path: str) -> None:
    batch = post(api, [{"content": "Whose is this?"}])["id"]
    other = Api(stack, stack.new_key(Caller(tenant="other")))
    assert api.get(path.format(id=batch)).status_code == 200
    assert other.get(path.format(id=batch)).status_code == 404
