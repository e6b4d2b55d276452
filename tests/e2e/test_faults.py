"""AWS's own misbehaviour, which no emulator shows by itself, before the local stack.

microburst stands in front of the stack and answers some requests as AWS does when it throttles,
when writes meet, or when a connection is lost. Nothing may be lost, nothing booked twice, and a
fault that passes may leave no verdict that stays.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
from quorum.aws.keys import Caller
from quorum.ledger import ledger, listing

from fakes.gateway import StandIn
from local.state import Stack
from local.versions import publish
from tests import template
from tests.e2e import test_webhooks
from tests.e2e.conftest import Api, Recorded, says
from tests.e2e.test_chat import Client
from tests.e2e.test_panels import somebody

START_SECONDS = 120
PATIENCE_SECONDS = 120
SETTLED = ("complete", "incomplete")
FUNCTIONS = [name for name, block in template.functions().items() if template.statements(block)]
"""Functions whose requests pass through microburst: all that have a right to ask AWS anything."""
CANCELLED = "TransactionCanceledException"
PASSING = ("TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded")
"""Reasons of a cancelled transaction that pass."""


received = test_webhooks.received  # a fixture: what a webhook's receiver was sent


@pytest.fixture
def once() -> str:
    """The beginning of a test's texts, new each time: a stack that is kept has votes on others."""
    return uuid4().hex[:8]


class Proxy:
    """microburst's control interface."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = httpx.Client(base_url=f"{address}/_microburst/", timeout=10)

    @contextmanager
    def raising(self, *rules: dict[str, Any]) -> Iterator[Callable[[], list[str]]]:
        """Answer by these rules; what it gives says which operations were struck."""
        self._http.delete("fired").raise_for_status()
        self._http.post("rules", json=list(rules)).raise_for_status()

        def struck() -> list[str]:
            fired = self._http.get("fired", params={"limit": 2_000}).raise_for_status().json()
            return [one["operation"] for one in fired]

        try:
            yield struck
        finally:
            self._http.post("rules", json=[]).raise_for_status()

    def is_up(self) -> bool:
        try:
            return self._http.get("health").is_success
        except httpx.HTTPError:
            return False


@pytest.fixture(scope="module")
def microburst(stack: Stack, folder: Path) -> Iterator[Proxy]:
    """microburst before the stack."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "microburst", "--upstream", stack.endpoint]
    with (folder / "microburst.log").open("w") as log:
        process = subprocess.Popen(
            # Signed anew, as the stack's administrator: a signature covers the host. What each
            # function may do is held by the other tests here.
            [*command, "--port", str(port), "--resign"],
            stdout=log,
            stderr=log,
            env=os.environ | stack.environment(),
        )
    proxy = Proxy(f"http://127.0.0.1:{port}")
    patience = time.monotonic() + START_SECONDS
    try:
        while not proxy.is_up():
            assert process.poll() is None, "microburst ended"
            assert time.monotonic() < patience, "microburst did not start"
            time.sleep(0.1)
        # Before its first answer it reads all models of botocore: longer than a client waits.
        httpx.get(proxy.address, timeout=START_SECONDS)
        yield proxy
    finally:
        process.kill()  # it keeps nothing
        process.wait()


@pytest.fixture(scope="module")
def faults(stack: Stack, api: Api, microburst: Proxy) -> Iterator[Proxy]:
    """The functions ask AWS through microburst, until these tests are over."""
    client = stack.client("lambda")
    before: dict[str, dict[str, str]] = {}
    for function in FUNCTIONS:
        name = stack.resources[function]
        found = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        before[name] = found
        there = {"Variables": found | {"AWS_ENDPOINT_URL": microburst.address}}
        client.update_function_configuration(FunctionName=name, Environment=there)
    publish(client, before)
    # New processes start: the first requests may find one of them too late.
    patience = time.monotonic() + START_SECONDS
    while (
        answer := api.post("verdicts", {"content": f"{uuid4().hex}: warming up"})
    ).status_code != 200:
        assert time.monotonic() < patience, answer.text
    yield microburst
    for name, found in before.items():
        client.update_function_configuration(FunctionName=name, Environment={"Variables": found})
    publish(client, before)


def rule(service: str, operation: str, code: str, **how: Any) -> dict[str, Any]:
    """A rule that answers an operation with an error; `fields` are members of its answer."""
    error = {"code": code} | {name: how.pop(name) for name in ("fields", "status") if name in how}
    return {"service": service, "operation": operation, "error": error} | how


def cancelled(*reasons: str, **how: Any) -> dict[str, Any]:
    """A rule that cancels a transaction for these reasons."""
    fields = {"CancellationReasons": [{"Code": reason} for reason in reasons]}
    return rule("dynamodb", "TransactWriteItems", CANCELLED, fields=fields, **how)


def booked(stack: Stack, days: set[date]) -> Decimal:
    client, table = stack.resource().meta.client, stack.outputs["UsageTable"]
    entries = [entry for day in days for entry in listing.entries_of_day(client, table, day)]
    return sum((Decimal(entry.get("cost_usd", 0)) for entry in entries), Decimal(0))


def wait(api: Api, batch: str) -> dict[str, Any]:
    view: dict[str, Any]
    patience = time.monotonic() + PATIENCE_SECONDS
    while (view := api.get(f"batches/{batch}").json())["state"] not in SETTLED:
        assert time.monotonic() < patience, view
        time.sleep(0.5)
    return view


@pytest.fixture
def books(stack: Stack, stand_in: StandIn) -> Iterator[None]:
    """What a test books is what the gateway billed meanwhile, to the last digit."""
    begun = ledger.today()  # a new day, if one begins meanwhile, has nothing booked before
    booked_before, billed_before = booked(stack, {begun}), stand_in.count.cost_usd
    yield
    billed = stand_in.count.cost_usd - billed_before
    assert booked(stack, {begun, ledger.today()}) - booked_before == billed > 0


RESET = {"service": "stepfunctions", "operation": "StartSyncExecution", "reset": True}
THROTTLED = rule("stepfunctions", "StartSyncExecution", "ThrottlingException")


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("struck", [RESET, THROTTLED], ids=["reset", "throttled"])
def test_a_machine_whose_start_is_lost_twice_judges_all_the_same(
    api: Api, faults: Proxy, recorded: Recorded, struck: dict[str, Any], once: str
) -> None:
    text = says(recorded, f"{once}: lost {sorted(struck)}")
    with faults.raising(struck | {"times": 2}) as fired:
        verdict = api.judge(text)
    assert fired() == ["StartSyncExecution"] * 2
    assert (verdict["decision"], verdict["answered_from"]) == ("safe", "panel")


def test_a_machine_that_cannot_be_started_leaves_no_verdict_and_the_retry_has_one(
    api: Api, faults: Proxy, recorded: Recorded, once: str
) -> None:
    body = {"content": says(recorded, f"{once}: never started")}
    key = {"Idempotency-Key": f"{once}-never"}
    with faults.raising(RESET):
        refused = api.post("verdicts", body, key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "unavailable")
    answer = api.post("verdicts", body, key)
    assert (answer.status_code, answer.json()["decision"]) == (200, "safe")


@pytest.mark.usefixtures("books")
def test_writes_that_meet_transactions_and_are_throttled_settle_every_item_once(
    api: Api, faults: Proxy, recorded: Recorded, once: str
) -> None:
    texts = [says(recorded, f"{once}: met {number % 15}") for number in range(20)]
    met = [
        # Certain: a batch is put once, noted as received once, and settled in transactions.
        rule("dynamodb", "PutItem", "TransactionConflictException", times=2),
        rule("dynamodb", "UpdateItem", "TransactionConflictException", times=2),
        *(cancelled("None", reason, times=1) for reason in PASSING),
    ]
    meets = [
        rule("dynamodb", operation, "TransactionConflictException", probability=0.3)
        for operation in ("UpdateItem", "PutItem", "DeleteItem")
    ]
    strikes = [cancelled("None", reason, probability=0.1) for reason in PASSING]
    with faults.raising(*met, *meets, *strikes) as fired:
        answer = api.post("batches", {"items": [{"content": text} for text in texts]})
        assert answer.status_code == 202, answer.text
        view = wait(api, answer.json()["id"])
    assert {"UpdateItem", "PutItem", "TransactWriteItems"} <= set(fired())
    assert (view["state"], view["items"], view["settled"]) == ("complete", 20, 20)
    assert (view["rejected"], view["dead"]) == (0, 0)
    assert view["decisions"] == {"safe": 20, "unsafe": 0, "needs_review": 0}


@pytest.mark.usefixtures("books")
def test_items_that_the_queue_did_not_take_are_sent_again_and_none_is_lost(
    api: Api, faults: Proxy, recorded: Recorded, once: str
) -> None:
    texts = [says(recorded, f"{once}: queued {number}") for number in range(10)]
    failed = [{"Id": str(n), "Code": "InternalError", "SenderFault": False} for n in range(10)]
    partial = rule("sqs", "SendMessageBatch", "-", status=200, fields={"Failed": failed}, times=2)
    with faults.raising(partial) as fired:
        answer = api.post("batches", {"items": [{"content": text} for text in texts]})
        assert answer.status_code == 202, answer.text
        view = wait(api, answer.json()["id"])
    assert fired() == ["SendMessageBatch"] * 2
    assert (view["state"], view["settled"], view["dead"]) == ("complete", 10, 0)


@pytest.mark.usefixtures("books")
def test_a_document_that_s3_does_not_take_or_give_at_once_is_answered_in_the_same_try(
    api: Api, faults: Proxy, once: str
) -> None:
    slow = [
        rule("s3", operation, "SlowDown", status=503, times=2)
        for operation in ("PutObject", "GetObject")
    ]
    document = {"text": f"{once}: the minutes of a meeting.", "id": "minutes"}
    with faults.raising(*slow) as fired:
        answer = api.post("documents", {"documents": [document], "operation": "summarize"})
        assert answer.status_code == 202, answer.text
        # After a try that failed the message would wait for 30 s.
        view = wait(api, answer.json()["id"])
    assert sorted(fired()) == ["GetObject"] * 2 + ["PutObject"] * 2
    assert (view["state"], view["settled"], view["dead"]) == ("complete", 1, 0)
    assert "last_problem" not in view or not view["last_problem"]


@pytest.mark.usefixtures("books")
def test_an_upload_that_s3_does_not_take_or_give_at_once_is_judged_whole(
    stack: Stack, api: Api, faults: Proxy, recorded: Recorded, once: str
) -> None:
    texts = [says(recorded, f"{once}: uploaded {number}") for number in range(4)]
    body = "\n".join(json.dumps({"content": text}) for text in texts * 5).encode()
    upload = api.post(f"batches/uploads?bytes={len(body)}", {}).json()
    # The address is signed for the functions' host; what is uploaded does not pass it here.
    key = urlsplit(upload["url"]).path.split("/", 2)[2]
    stack.client("s3").put_object(Bucket=stack.outputs["UploadsBucket"], Key=key, Body=body)
    # Every other one, pages and results among them.
    slow = [
        rule("s3", operation, "SlowDown", status=503, sequence={"fail": 1, "pass": 1})
        for operation in ("PutObject", "GetObject")
    ]
    with faults.raising(*slow) as fired:
        answer = api.post("batches", {"upload": upload["upload"]})
        assert answer.status_code == 202, answer.text
        view = wait(api, answer.json()["id"])
        # The results are written once all is settled.
        patience = time.monotonic() + PATIENCE_SECONDS
        while fired().count("PutObject") < 2 and time.monotonic() < patience:
            time.sleep(0.5)
    assert fired().count("GetObject") >= 1
    assert fired().count("PutObject") >= 2
    assert (view["state"], view["items"], view["settled"]) == ("complete", 20, 20)
    assert (view["rejected"], view["dead"]) == (0, 0)


def test_an_event_that_meets_throttles_on_all_of_its_way_reaches_its_webhook_once(
    stack: Stack,
    faults: Proxy,
    recorded: Recorded,
    received: test_webhooks.Received,
    webhook_port: int,
) -> None:
    name = somebody()
    member = Api(stack, stack.new_key(Caller(tenant=name)))
    operator = Api(stack, stack.new_key(Caller(tenant=name, role="operator")))
    text = says(recorded, f"{name} is odd", gpt_4_1="unsafe", gemini_2_5_flash="needs_review")
    strikes = [
        rule("kms", "Encrypt", "ThrottlingException", times=1),
        rule("kms", "Decrypt", "ThrottlingException", times=1),
        rule("events", "PutEvents", "ThrottlingException", times=1),
        rule("sqs", "SendMessageBatch", "RequestThrottled", times=1),
        *(
            rule("dynamodb", operation, "ProvisionedThroughputExceededException", times=1)
            for operation in ("GetItem", "Query", "UpdateItem")
        ),
        cancelled("None", "ThrottlingError", times=1),
    ]
    with faults.raising(*strikes) as fired:
        put = operator.put("webhooks/here", {"url": f"http://127.0.0.1:{webhook_port}/hook"})
        assert put.status_code == 200, put.text
        verdict = member.judge(text)
        event = test_webhooks.told(received, put.json()["secret"], "verdict.decided")
        assert event["data"]["verdict_id"] == verdict["id"]
        patience = time.monotonic() + PATIENCE_SECONDS
        while "PutEvents" not in fired():
            assert time.monotonic() < patience, fired()
            time.sleep(0.2)
    assert {one["operation"] for one in strikes} == set(fired())
    assert len({json.loads(sent)["id"] for _, sent in received}) == 1
    assert operator.get("webhooks/here/dead-letters").json()["dead_letters"] == []


@pytest.mark.parametrize("path", ["reviews", "webhooks", "costs"])
def test_what_is_asked_while_a_table_is_throttled_is_answered_all_the_same(
    stack: Stack, faults: Proxy, path: str
) -> None:
    operator = Api(stack, stack.new_key(Caller(tenant=somebody(), role="operator")))
    throttles = [
        rule("dynamodb", operation, "ProvisionedThroughputExceededException", times=1)
        for operation in ("GetItem", "Query", "UpdateItem")
    ]
    with faults.raising(*throttles) as fired:
        answer = operator.get(path)
    assert answer.status_code == 200, answer.text
    assert set(fired()) >= {"GetItem", "Query"}


def test_a_reviewer_signs_in_and_a_document_is_estimated_while_tables_are_throttled(
    stack: Stack, faults: Proxy
) -> None:
    caller = Caller(tenant=somebody(), role="operator")
    key = stack.new_key(caller)
    throttled = rule("dynamodb", "GetItem", "ProvisionedThroughputExceededException", times=2)
    met = cancelled("TransactionConflict", times=2)
    with faults.raising(throttled, met) as fired:
        signed_in = httpx.post(
            f"{stack.api}/console/sign-in",
            data={"key": key},
            headers={"Sec-Fetch-Site": "same-origin"},
            timeout=60,
        )
        assert signed_in.status_code == 303, signed_in.text
    assert set(fired()) == {"GetItem", "TransactWriteItems"}
    work = {"operation": "summarize", "documents": [{"text": "The committee met."}]}
    with faults.raising(throttled) as fired:
        answer = Api(stack, key).post("documents/estimate", work)
    assert (answer.status_code, set(fired())) == (200, {"GetItem"})


def test_a_chat_whose_start_and_writes_are_refused_at_first_is_answered_once(
    stack: Stack, faults: Proxy, once: str
) -> None:
    refused = [
        rule("lambda", "Invoke", "TooManyRequestsException", status=429, times=2),
        *(
            rule("dynamodb", operation, "TransactionConflictException", times=2)
            for operation in ("PutItem", "UpdateItem")
        ),
        cancelled("None", "TransactionConflict", times=2),
    ]
    with (
        Client(stack.chat, stack.new_key(Caller(tenant=somebody()))) as client,
        faults.raising(*refused) as fired,
    ):
        client.say(f"{once}: why is the sky blue?", "one")
        last = client.last("one")
    assert last["type"] == "complete"
    assert last["full_response"] == client.text("one")
    assert {"Invoke", "TransactWriteItems"} <= set(fired())
