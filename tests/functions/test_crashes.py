"""Lambdas that crash around each of their writes: a replay ends in the same state."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from time import time
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.exceptions import ClientError
from quorum.aws.leases import LEASE_SECONDS
from quorum.batch import counters
from quorum.batch.progress import Kind
from quorum.batch.records import FailedItem
from quorum.batch.runs import Runs
from quorum.bulk.batches import QueuedBatches, UploadedBatches
from quorum.bulk.machine import Bulk, Finish, JudgePage, Prepare
from quorum.bulk.requests import BatchRequest, QueuedItem
from quorum.core.position import BatchPosition

from tests.conftest import empty_account
from tests.functions.conftest import make_tables
from tests.world import (
    BATCH,
    TENANT,
    Death,
    Gateway,
    Life,
    Mortal,
    MortalClient,
    World,
    booked,
    packaged,
    stored,
)

BUCKET = "uploads"
UPLOAD = f"uploads/{TENANT}/one.jsonl"
GIVEN: list[Any] = [{"content": "one"}, {"content": ""}, {"content": "two"}, {"content": "one"}]
FOREVER = 10_000
"""More writes than anything here does."""


class Cloud(NamedTuple):
    """What outlives a Lambda."""

    dynamodb: Any
    sqs: Any
    s3: Any
    machines: Any
    machine: str
    queue: str
    dead_letters: str


class Lambda:
    """One environment: everything it does ends with its life."""

    def __init__(self, cloud: Cloud, gateway: Gateway, life: Life, *, later: float = 0) -> None:
        self.sqs = MortalClient(cloud.sqs, life)
        dynamodb: Any = Mortal(cloud.dynamodb, life)
        self.world = World(dynamodb, gateway, clock=lambda: time() + later)
        self.queue = self.world.queue(self.sqs, cloud.queue, cloud.dead_letters)
        s3: Any = MortalClient(cloud.s3, life)
        machines: Any = MortalClient(cloud.machines, life)
        self.bulk = Bulk(s3, BUCKET, machines, cloud.machine, self.world.batches)
        runs = Runs(machines, self.world.batches)
        panels: Any = {
            "default_panel": "default",
            "panel_of": packaged,
            "policy_of": self.world.app.policies.chosen,
        }
        self.kinds: dict[Kind, QueuedBatches | UploadedBatches] = {
            Kind.ITEMS: QueuedBatches(self.world.batches, self.queue, **panels),
            Kind.UPLOAD: UploadedBatches(self.world.batches, self.bulk, runs, **panels),
        }

    def take(self, request: BatchRequest) -> None:
        self.kinds[request.kind].start(TENANT, BATCH, request)


def new_cloud(dynamodb: Any) -> Cloud:
    empty_account()
    make_tables(dynamodb)
    sqs, s3, machines = boto3.client("sqs"), boto3.client("s3"), boto3.client("stepfunctions")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=UPLOAD, Body="\n".join(map(json.dumps, GIVEN)).encode())
    machine = machines.create_state_machine(
        name="bulk",
        definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}',
        roleArn="arn:aws:iam::123456789012:role/bulk",
    )["stateMachineArn"]
    queues = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("items", "dead"))
    return Cloud(dynamodb, sqs, s3, machines, machine, *queues)


Act = Callable[[Lambda], Any]
Prepared = Callable[[Cloud], None]


def replays(
    account: Any, act: Act, prepared: Prepared, *, after: bool
) -> Iterator[tuple[str, Cloud, Gateway]]:
    """The clouds that are left when a Lambda died at each write of `act`, and one did it again."""
    writes = 0
    while True:
        writes += 1
        cloud, gateway, life = new_cloud(account), Gateway(), Life(writes, after=after)
        prepared(cloud)
        begun = Lambda(cloud, gateway, life)
        with suppress(Death):
            act(begun)
        if not life.dead:
            assert writes > 1
            return
        for receipt in begun.sqs.received:  # what it was handed comes again, unless it is done
            with suppress(ClientError):
                cloud.sqs.change_message_visibility(
                    QueueUrl=cloud.dead_letters, ReceiptHandle=receipt, VisibilityTimeout=0
                )
        # long enough that the claims of the dead have lapsed
        act(Lambda(cloud, gateway, Life(FOREVER, after=False), later=LEASE_SECONDS + 1))
        yield f"died at write {writes}", cloud, gateway


def undisturbed(account: Any, act: Act, prepared: Prepared) -> tuple[Cloud, Gateway]:
    cloud, gateway = new_cloud(account), Gateway()
    prepared(cloud)
    act(Lambda(cloud, gateway, Life(FOREVER, after=False)))
    return cloud, gateway


def living(cloud: Cloud, gateway: Gateway | None = None) -> Lambda:
    return Lambda(cloud, gateway or Gateway(), Life(FOREVER, after=False))


def queued(cloud: Cloud) -> set[int]:
    """The indexes of what is on the queue: a message that is there twice is judged once."""
    found: set[int] = set()
    while letters := cloud.sqs.receive_message(QueueUrl=cloud.queue, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        found |= {json.loads(letter["Body"])["position"]["index"] for letter in letters}
    return found


def left(cloud: Cloud) -> Any:
    """Everything that must be the same however it came about: all but times."""
    view = living(cloud).world.view()
    runs = cloud.machines.list_executions(stateMachineArn=cloud.machine)["executions"]
    listed = cloud.s3.list_objects_v2(Bucket=BUCKET, Prefix="results/").get("Contents", [])
    results = {
        entry["Key"]: [
            (line["index"], line["verdict"]["decision"])
            for line in map(
                json.loads,
                cloud.s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].iter_lines(),
            )
        ]
        for entry in listed
    }
    verdicts = {
        key: entry.get("decision") or entry.get("rejected")
        for key, entry in stored(cloud.dynamodb).items()
    }
    counts = (view.items, view.settled, view.rejected, view.dead, view.decisions)
    return view.state, counts, verdicts, results, {run["name"] for run in runs}, queued(cloud)


def nothing(_cloud: Cloud) -> None:
    """Nothing was before."""


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("given", ["items", "upload"])
def test_a_batch_whose_intake_dies_is_taken_once_by_the_next_try(
    account: Any, given: str, *, after: bool
) -> None:
    asked = {"items": GIVEN} if given == "items" else {"upload": UPLOAD}
    request = BatchRequest.model_validate(asked)

    def take(one: Lambda) -> None:
        one.take(request)

    wanted = left(undisturbed(account, take, nothing)[0])
    assert wanted[-1] == ({0, 2, 3} if given == "items" else set())
    for died, cloud, _ in replays(account, take, nothing, after=after):
        assert left(cloud) == wanted, died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_dead_letters_whose_redrive_dies_are_sent_round_by_the_next_try(
    account: Any, *, after: bool
) -> None:
    position = BatchPosition(batch=BATCH, index=0)

    def dead_lettered(cloud: Cloud) -> None:
        one = living(cloud)
        one.world.new_batch(1)
        one.world.batches.mark_failed(
            TENANT, "dead", [FailedItem(position, {"reason": "throttled"})]
        )
        body = QueuedItem(content="one", tenant=TENANT, position=position).model_dump_json()
        cloud.sqs.send_message(QueueUrl=cloud.dead_letters, MessageBody=body)

    def redrive(one: Lambda) -> None:
        one.queue.redrive(TENANT, BATCH, seconds=2)

    wanted = left(undisturbed(account, redrive, dead_lettered)[0])
    assert (wanted[0], wanted[-1]) == ("running", {0})
    for died, cloud, _ in replays(account, redrive, dead_lettered, after=after):
        assert left(cloud) == wanted, died
        letters = cloud.sqs.get_queue_attributes(
            QueueUrl=cloud.dead_letters, AttributeNames=["All"]
        )["Attributes"]
        assert letters["ApproximateNumberOfMessages"] == "0", died


def uploaded(cloud: Cloud) -> None:
    living(cloud).take(BatchRequest(upload=UPLOAD))


def run(one: Lambda, number: int = 1) -> None:
    """A bulk run, as its machine does it."""
    step = Prepare(step="prepare", tenant=TENANT, batch=BATCH, upload=UPLOAD, panel="default")
    prepared = one.bulk.prepare(
        step, lambda name: packaged(TENANT, name), partial(one.world.app.policies.chosen, TENANT)
    )
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=prepared["key"])["Body"]
    for line in body.iter_lines():
        page = JudgePage.model_validate({"step": "judge", "page": json.loads(line)})
        one.bulk.moderate_page(page, one.world.judging, one.world.verdicts)
    one.bulk.finish(Finish(step="finish", tenant=TENANT, batch=BATCH, run=number))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_bulk_run_that_dies_is_gone_on_with_and_nothing_is_paid_twice(
    account: Any, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    monkeypatch.setattr(counters, "UNSPREAD_ITEMS", 0)  # each item is counted in another shard
    monkeypatch.setattr(counters, "NEIGHBOURS", 1)
    cloud, gateway = undisturbed(account, run, uploaded)
    wanted, paid = left(cloud), gateway.billed
    assert wanted[0] == "complete"
    for died, cloud, gateway in replays(account, run, uploaded, after=after):
        assert left(cloud) == wanted, died
        assert booked(cloud.dynamodb) == paid <= gateway.billed, died


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_bulk_redrive_that_dies_is_one_run_with_the_next_try(
    account: Any, *, after: bool
) -> None:
    def failed(cloud: Cloud) -> None:
        uploaded(cloud)
        (begun,) = cloud.machines.list_executions(stateMachineArn=cloud.machine)["executions"]
        cloud.machines.stop_execution(executionArn=begun["executionArn"])
        one = living(cloud)
        one.bulk.finish(
            Finish(step="finish", tenant=TENANT, batch=BATCH, run=1, failed_with="Lambda.Unknown")
        )
        assert one.world.view().state == "incomplete"

    def redrive(one: Lambda) -> None:
        one.bulk.redrive(one.world.batches.record(TENANT, BATCH))

    wanted = left(undisturbed(account, redrive, failed)[0])
    assert wanted[4] == {f"{BATCH}-1", f"{BATCH}-2"}
    for died, cloud, gateway in replays(account, redrive, failed, after=after):
        assert left(cloud) == wanted, died
        run(living(cloud, gateway), number=2)
        assert living(cloud).world.view().state == "complete", died
        assert booked(cloud.dynamodb) == gateway.billed > Decimal(0)
